"""What a bench run measures: every setting declared once, how a method decodes being ``DecodingOptions``' affair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from draftwise.errors import DraftwiseError, unknown_name
from draftwise.options import Check, DecodingOptions, option, validate, whole
from draftwise.tasks import SUBTASKS, SuiteSource, check_source


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "a name or a path"


def _names(value: Any) -> str | None:
    right = isinstance(value, tuple) and all(isinstance(item, str) and item for item in value)
    return None if right and len(set(value)) == len(value) else "different names"


def _some_names(value: Any) -> str | None:
    return "at least one name" if value == () else _names(value)


def _or_none(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What a bench run measures. The defaults are the seed experiment's settings on the built-in pair.

    ``decoding.seed`` is the run's one seed: the plan's order, the samples' random numbers and the resampling of the
    intervals all follow from it.
    """

    target: str = option("builtin", "The target: a model directory, or the pair that ships with draftwise.", _text)
    draft: str | None = option(None, "The draft: a model directory; the built-in target has its own.", _or_none(_text))
    methods: tuple[str, ...] = option(("as", "sps", "bild"), "Methods to measure, with commas.", _some_names)
    suite: str = option("builtin", "The suite of prompts.", _text)
    subtasks: tuple[str, ...] = option((), "Subtasks to measure, with commas; all of them if left out.", _names)
    limit: int = option(20, "The most prompts a subtask.", whole(1))
    repeats: int = option(3, "How often each prompt is measured with each method.", whole(1))
    warmups: int = option(1, "Untimed answers of each method at each length of prompt before timing.", whole(1))
    dtype: str = option("float32", "The weights' type: float32, bfloat16, float16 or float64.", _text)
    device: str = option("cpu", "Where the models run: cpu, cuda or cuda:N.", _text)
    threads: int | None = option(None, "CPU threads; torch's own choice if left out.", _or_none(whole(1, 1024)))
    output: str | None = option(None, "Directory of the run; runs/<UTC time> if left out.", _or_none(_text))
    decoding: DecodingOptions = DecodingOptions()

    def __post_init__(self) -> None:
        """Check every value and every name.

        Raises:
            DraftwiseError: naming the value, and for an unknown name those that are known.
        """
        validate(self)
        check_source(SuiteSource(self.suite))
        _known("subtask", self.subtasks, SUBTASKS)
        # The table of methods stands on torch; nobody waits for that who only asks for --help.
        from draftwise.methods import METHODS

        _known("method", self.methods, METHODS)
        if self.draft is None and self.target != "builtin":
            for name in self.methods:
                if METHODS[name].needs_draft:
                    raise DraftwiseError(
                        f"method {name!r} needs a draft model and none is named; give a draft, or methods without one"
                    )

    def to_record(self) -> dict[str, Any]:
        """The settings as JSON values; ``from_record`` is the way back."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()} | {
            "decoding": decoding_record(self.decoding)
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> BenchSettings:
        """The settings that ``to_record`` wrote down."""
        return cls(**_tupled({**record, "decoding": DecodingOptions(**_tupled(record["decoding"]))}))


def decoding_record(options: DecodingOptions) -> dict[str, Any]:
    """Decoding options as JSON values; an infinite threshold becomes the text "inf"."""
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(options).items()}
    return {name: "inf" if v == float("inf") else v for name, v in values.items()}


def _tupled(record: dict[str, Any]) -> dict[str, Any]:
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in record.items()}
    return {name: float("inf") if v == "inf" and name == "rollback_threshold" else v for name, v in values.items()}


def _known(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, known)
