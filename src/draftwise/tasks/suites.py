"""The suites of prompts: a row of ``SUITES`` for each, and the one door through which they are loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial

from draftwise.errors import DraftwiseError, unknown_name
from draftwise.tasks.files import FORMATS, load_file
from draftwise.tasks.hub import HUB_FORM, HUB_SUITES, PREFIX, load_hub, load_known, parse_name
from draftwise.tasks.packaged import read_builtin, read_standard
from draftwise.tasks.prompts import Prompt, Suite, subtasks_of
from draftwise.tasks.sources import SuiteEntry, SuiteSource
from draftwise.tasks.spec_bench import load_spec_bench


def shipped(read: Callable[[], Sequence[Prompt]], about: str = "") -> SuiteEntry:
    """The row of a suite that needs nothing but its name."""
    return SuiteEntry(lambda source, limit: Suite(tuple(read())), about, is_shipped=True)


SUITES: dict[str, SuiteEntry] = {
    "builtin": shipped(read_builtin, "questions about the small world of the built-in pair"),
    "standard": shipped(read_standard, "English prompts of the lengths that real use has"),
    "spec-bench": SuiteEntry(load_spec_bench, "the questions of Spec-Bench", data="its question.jsonl"),
    "file": SuiteEntry(load_file, "your own prompts", data=f"a file of them ({', '.join(FORMATS)})"),
    **{
        name: SuiteEntry(
            partial(load_known, name), f"{row.subtask} from {row.dataset} (licence: {row.licence})", is_endless=True
        )
        for name, row in HUB_SUITES.items()
    },
}
HUB = SuiteEntry(load_hub, "any data set of the Hub, or a directory of data files", takes_fields=True, is_endless=True)
"""What is known of every suite whose name is of the form ``HUB_FORM``."""


def find_entry(name: str) -> SuiteEntry:
    """The row of a suite, by its name or by the form of a data set's.

    Raises:
        DraftwiseError: for an unknown name, listing the known and the one that may have been meant.
    """
    if name.startswith(PREFIX):
        parse_name(name)
        return HUB
    if name not in SUITES:
        close = get_close_matches(name, SUITES, 1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise DraftwiseError(f"unknown suite {name!r}; {meant}choose from: {', '.join([*SUITES, HUB_FORM])}")
    return SUITES[name]


def check_source(source: SuiteSource) -> None:
    """Check a source's names without reading anything.

    Raises:
        DraftwiseError: for an unknown suite (listing the known), or one that lacks what it needs, or is told what it
            has no use for.
    """
    entry = find_entry(source.name)
    if entry.data and not source.data:
        raise DraftwiseError(f"suite {source.name!r} needs --data with {entry.data}")
    if source.data is not None and not entry.data:
        takers = ", ".join(name for name, other in SUITES.items() if other.data)
        raise DraftwiseError(f"suite {source.name!r} takes no data, so not {source.data!r}; those that do: {takers}")
    for option, value in (("prompt_field", source.prompt_field), ("reference_field", source.reference_field)):
        if value is not None and not entry.takes_fields:
            raise DraftwiseError(f"suite {source.name!r} takes no {option}, so not {value!r}; {HUB_FORM} does")


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
    loaded = find_entry(source.name).load(source, limit)
    present = subtasks_of(loaded.prompts)
    if not present:
        raise DraftwiseError(_nothing(source, loaded))
    for subtask in subtasks or ():
        if subtask not in present:
            raise unknown_name(f"subtask of {source.name}:", subtask, present)
    wanted = [subtask for subtask in present if not subtasks or subtask in subtasks]
    chosen = [[prompt for prompt in loaded.prompts if prompt.subtask == subtask][:limit] for subtask in wanted]
    return Suite(tuple(prompt for prompts in chosen for prompt in prompts), loaded.skipped)


def _nothing(source: SuiteSource, loaded: Suite) -> str:
    where = source.data or f"suite {source.name!r}"
    passed = f"; passed over were {len(loaded.skipped)}, the first {loaded.skipped[0]}" if loaded.skipped else ""
    return f"{where} holds no prompt{passed}"
