"""What a bench run measures: every setting declared once, how a method decodes being ``DecodingOptions``' affair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from draftwise.builtin import BUILTIN
from draftwise.errors import DraftwiseError, unknown_name
from draftwise.options import Check, DecodingOptions, flag, option, validate, whole
from draftwise.tasks import SUBTASKS, SuiteSource, check_source

TRUNCATE = ("none", "left")
EIGHT_SUBTASKS = (BUILTIN, "standard")
"""The suites whose subtasks are known without reading them."""

MODEL_FIELDS = (
    "target",
    "draft",
    "revision",
    "draft_revision",
    "dtype",
    "draft_dtype",
    "device",
    "draft_device",
    "implementation",
    "draft_implementation",
    "backend",
    "draft_backend",
    "exact",
    "chat_template",
    "threads",
)
"""The settings that say which models run, and how; the rest says what they are measured on."""


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "a name or a path"


def _names(value: Any) -> str | None:
    right = isinstance(value, tuple) and all(isinstance(item, str) and item for item in value)
    return None if right and len(set(value)) == len(value) else "different names"


def _some_names(value: Any) -> str | None:
    return "at least one name" if value == () else _names(value)


def _or_none(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _one_of(names: tuple[str, ...]) -> Check:
    return lambda value: None if isinstance(value, str) and value in names else f"one of {', '.join(names)}"


class Axis(NamedTuple):
    """An option that takes several values within one run."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What a bench run measures. The defaults are the seed experiment's settings on the built-in pair.

    ``decoding.seed`` is the run's one seed: the plan's order, the samples' random numbers and the resampling of the
    intervals all follow from it. ``sweep`` holds the options that take several values in this run; the settings' own
    value of such an option is the first of them.
    """

    target: str = option(BUILTIN, "The target: a model directory, a Hub id, grown:MODEL or the pair that ships.", _text)
    draft: str | None = option(
        None, "The draft: a model directory, a Hub id or grown:MODEL; the built-in target has its own.", _or_none(_text)
    )
    revision: str | None = option(None, "The target's revision on the Hub.", _or_none(_text))
    draft_revision: str | None = option(None, "The draft's revision on the Hub.", _or_none(_text))
    methods: tuple[str, ...] = option(("as", "as*", "sps", "bild"), "Methods to measure, with commas.", _some_names)
    suite: str | None = option(
        None, "The suite of prompts; builtin if left out, and file where --data is given.", _or_none(_text)
    )
    data: str | None = option(None, "The file of prompts that the suite reads.", _or_none(_text))
    prompt_field: str | None = option(
        None, "The data set's column of prompts, or a text with columns in braces.", _or_none(_text)
    )
    reference_field: str | None = option(None, "The data set's column of right answers.", _or_none(_text))
    skip_bad_lines: bool = option(
        False, "Pass over lines of the data that are no prompt; the report counts them.", flag
    )
    subtasks: tuple[str, ...] = option((), "Subtasks to measure, with commas; all of them if left out.", _names)
    limit: int = option(20, "The most prompts a subtask.", whole(1))
    truncate: str = option(
        "none",
        "A prompt too long for the target's context: none leaves it out, left cuts its front.",
        _one_of(TRUNCATE),
    )
    chat_template: str = option("auto", "The chat template: auto is the tokenizer's own, none, or a Jinja file.", _text)
    repeats: int = option(3, "How often each prompt is measured with each method.", whole(1))
    sessions: int = option(1, "Fresh processes, one after another, that each take all the repeats.", whole(1))
    warmups: int = option(1, "Untimed answers of each method at each length of prompt before timing.", whole(1))
    dtype: str = option(
        "float32", "The weights' type: float32, bfloat16, int8 (the matrices alone), float16 or float64.", _text
    )
    draft_dtype: str | None = option(
        None, "The type of the draft's weights; the target's if left out.", _or_none(_text)
    )
    device: str = option("cpu", "Where the models run: cpu, cuda or cuda:N.", _text)
    draft_device: str | None = option(None, "Where the draft runs; with the target if left out.", _or_none(_text))
    implementation: str = option(
        "auto", "Who runs the model: own, transformers, or auto, our own where it knows the family.", _text
    )
    draft_implementation: str | None = option(
        None, "Who runs the draft; as for the target if left out.", _or_none(_text)
    )
    backend: str = option(
        "auto", "What runs our own forward pass: native, packed, triton, plain, or auto, the fastest that can.", _text
    )
    draft_backend: str | None = option(
        None, "What runs the draft's pass; as for the target if left out.", _or_none(_text)
    )
    exact: bool = option(
        True, "Make a row's logits depend on its own tokens alone, to the bit, where a backend can; the default.", flag
    )
    threads: int | None = option(None, "CPU threads; torch's own choice if left out.", _or_none(whole(1, 1024)))
    pin: bool = option(False, "Give each CPU thread a core of its own.", flag)
    output: str | None = option(
        None, "Directory of the run, which goes on if it is there; runs/<UTC time> if left out.", _or_none(_text)
    )
    decoding: DecodingOptions = DecodingOptions()
    sweep: tuple[Axis, ...] = ()

    def __post_init__(self) -> None:
        """Check every value and every name, and settle the suite's.

        Raises:
            DraftwiseError: naming the value, and for an unknown name those that are known.
        """
        validate(self)
        source = self.source
        check_source(source)
        object.__setattr__(self, "suite", source.name)
        if source.name in EIGHT_SUBTASKS:
            _known("subtask", self.subtasks, SUBTASKS)
        _check_sweep(self)
        # These tables stand on torch; nobody waits for that who only asks for --help.
        from draftwise.methods import METHODS
        from draftwise.models.backends import BACKENDS
        from draftwise.models.loading import DTYPES, IMPLEMENTATIONS

        _known("method", self.methods, METHODS)
        _known("dtype", filter(None, (self.dtype, self.draft_dtype)), DTYPES)
        _known("implementation", filter(None, (self.implementation, self.draft_implementation)), IMPLEMENTATIONS)
        _known("backend", filter(None, (self.backend, self.draft_backend)), BACKENDS)
        if not self.drafts:
            for name in self.methods:
                if METHODS[name].needs_draft:
                    raise DraftwiseError(
                        f"method {name!r} needs a draft model and none is named; give a draft, or methods without one"
                    )

    @property
    def source(self) -> SuiteSource:
        """Where the prompts come from."""
        return SuiteSource(
            self.suite or "", self.data, self.prompt_field, self.reference_field, skip_bad_lines=self.skip_bad_lines
        )

    @property
    def drafts(self) -> tuple[str, ...]:
        """The names of the draft models; the built-in target brings its own."""
        for axis in self.sweep:
            if axis.name == "draft":
                return axis.values
        if self.draft is None:
            return (BUILTIN,) if self.target == BUILTIN else ()
        return (self.draft,)

    def to_record(self) -> dict[str, Any]:
        """The settings as JSON values; ``from_record`` is the way back."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()} | {
            "decoding": decoding_record(self.decoding),
            "sweep": {axis.name: [to_value(value) for value in axis.values] for axis in self.sweep},
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> BenchSettings:
        """The settings that ``to_record`` wrote down."""
        axes = tuple(Axis(name, tuple(_read(name, v) for v in values)) for name, values in record["sweep"].items())
        decoding = DecodingOptions(**_tupled(record["decoding"]))
        return cls(**_tupled({**record, "decoding": decoding, "sweep": axes}))


def decoding_record(options: DecodingOptions) -> dict[str, Any]:
    """Decoding options as JSON values; an infinite threshold becomes the text "inf"."""
    return {name: to_value(value) for name, value in asdict(options).items()}


def to_value(value: Any) -> Any:
    """An option's value as a JSON value."""
    if isinstance(value, tuple):
        return list(value)
    return "inf" if value == float("inf") else value


def _tupled(record: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else _read(name, v) for name, v in record.items()}


def _read(name: str, value: Any) -> Any:
    return float("inf") if value == "inf" and name == "rollback_threshold" else value


def _check_sweep(settings: BenchSettings) -> None:
    """Run the checks of every value of every axis, and hold the first against the settings' own.

    Raises:
        DraftwiseError: naming the option and the value.
    """
    for name, values in settings.sweep:
        if len(values) < 2 or len(set(values)) < len(values):
            raise DraftwiseError(f"{name} must be several different values, not {list(values)!r}")
        if name == "draft":
            own: Any = settings.draft
            for value in values:
                replace(settings, draft=value, sweep=())
        else:
            own = getattr(settings.decoding, name)
            for value in values:
                replace(settings.decoding, **{name: value})
        if own != values[0]:
            raise DraftwiseError(f"{name} must be the first of its swept values, {values[0]!r}, not {own!r}")


def _known(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, known)
