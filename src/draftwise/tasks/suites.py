"""The suites of prompts: a row of ``SUITES`` for each, and the one door through which they are loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources

from draftwise.errors import DraftwiseError, unknown_name
from draftwise.tasks.prompts import Prompt, Suite, parse_prompts, subtasks_of


@dataclass(frozen=True, slots=True)
class SuiteSource:
    """Where prompts come from.

    Attributes:
        name: a key of ``SUITES``; if left out, "file" where there is data and "builtin" where there is none.
        data: a file of the user's, for the suites that need one.
        prompt_field: for a data set of the Hub: the column that holds the prompt, or a template with columns in braces.
        reference_field: for a data set of the Hub: the column that holds the right answer.
        skip_bad_lines: pass over lines of the user's file that are no prompt, rather than refuse the file.
    """

    name: str = ""
    data: str | None = None
    prompt_field: str | None = None
    reference_field: str | None = None
    skip_bad_lines: bool = False

    def __post_init__(self) -> None:
        """Settle the name."""
        if not self.name:
            object.__setattr__(self, "name", "builtin" if self.data is None else "file")


@dataclass(frozen=True, slots=True)
class SuiteEntry:
    """A row of ``SUITES``.

    Attributes:
        load: reads the suite; told the most prompts of a subtask that are of use, it need not read more.
    """

    load: Callable[[SuiteSource, int | None], Suite]


def shipped(read: Callable[[], Sequence[Prompt]]) -> SuiteEntry:
    """The row of a suite that needs nothing but its name."""
    return SuiteEntry(lambda source, limit: Suite(tuple(read())))


def _builtin() -> list[Prompt]:
    source = resources.files("draftwise.tasks") / "data" / "builtin.jsonl"
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DraftwiseError(
            "the builtin suite's prompts are missing from this installation; install draftwise again"
        ) from None
    return parse_prompts(text.splitlines(), "the builtin suite")


SUITES: dict[str, SuiteEntry] = {"builtin": shipped(_builtin)}


def check_source(source: SuiteSource) -> None:
    """Check a source's names without reading anything.

    Raises:
        DraftwiseError: for an unknown suite (listing the known), or one that lacks what it needs.
    """
    if source.name not in SUITES:
        raise unknown_name("suite", source.name, SUITES)


def load_suite(source: SuiteSource | str, subtasks: Sequence[str] | None = None, limit: int | None = None) -> Suite:
    """The prompts of a suite, subtask by subtask: those of ``SUBTASKS`` first, others in order of appearance.

    Args:
        source: where they come from; a name alone is a suite that needs nothing else.
        subtasks: which subtasks to take; all of them if None or empty.
        limit: the most prompts a subtask; its first ones are taken.

    Raises:
        DraftwiseError: for an unknown suite (listing the known) or a subtask that isn't in it (listing those that
            are), for data that can't be read, or where no prompt is left.
    """
    source = SuiteSource(source) if isinstance(source, str) else source
    check_source(source)
    loaded = SUITES[source.name].load(source, limit)
    present = subtasks_of(loaded.prompts)
    if not present:
        raise DraftwiseError(f"suite {source.name!r} holds no prompt")
    for subtask in subtasks or ():
        if subtask not in present:
            raise unknown_name(f"subtask of suite {source.name!r}", subtask, present)
    wanted = [subtask for subtask in present if not subtasks or subtask in subtasks]
    chosen = [[prompt for prompt in loaded.prompts if prompt.subtask == subtask][:limit] for subtask in wanted]
    return Suite(tuple(prompt for prompts in chosen for prompt in prompts), loaded.skipped)
