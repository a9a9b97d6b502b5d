"""Reads prompts from rows of data, strictly: what is no prompt is named by its number and the reason.

A row is a JSON object with ``turns`` (a list of texts) or ``prompt`` (a text), and if it likes ``id`` (a text or a
number), ``subtask`` or ``category``, ``reference`` or ``references`` (a text, or a list with one a turn, each a text, a
list of texts that are equally right, or null), ``alternatives`` and ``fields`` (a list of texts for each turn).
Other keys are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeVar

from draftwise.errors import DraftwiseError
from draftwise.tasks.prompts import Prompt, Suite, brief, check_subtask

CUSTOM = "custom"  # the subtask of a prompt that names none
LONGEST_ID = 200  # characters
LONGEST_LINE = 8 * 2**20  # bytes; a context of a million tokens is half of that
NAMED_BAD_LINES = 3
Row = Mapping[str, Any]
T = TypeVar("T")


def gather(
    numbered: Iterable[tuple[int, T]],
    read: Callable[[T, int], Prompt],
    *,
    origin: str,
    unit: str,
    skip: bool,
    limit: int | None = None,
    patience: int | None = None,
) -> Suite:
    """Read prompts one by one and part the good from the bad.

    Args:
        numbered: what to read, with the numbers that a person would find it by.
        read: makes a prompt of one item and its number, or raises a DraftwiseError with the reason.
        origin: the name of the whole, for errors.
        unit: what an item is called.
        skip: whether bad items are passed over and listed.
        limit: stop after so many prompts.
        patience: where bad items aren't passed over, stop after so many of them.

    Raises:
        DraftwiseError: counting the bad items and naming the first few, unless they are passed over.
    """
    prompts: dict[str, Prompt] = {}
    bad: list[str] = []
    for number, item in numbered:
        try:
            prompt = read(item, number)
            if prompt.id in prompts:
                raise DraftwiseError(f"its id {prompt.id!r} is taken")
            prompts[prompt.id] = prompt
        except DraftwiseError as error:
            bad.append(f"{unit} {number}: {error}")
        if len(prompts) == limit or (not skip and len(bad) == patience):
            break
    if bad and not skip:
        raise DraftwiseError(_complaint(origin, unit, bad))
    return Suite(tuple(prompts.values()), tuple(bad))


def _complaint(origin: str, unit: str, bad: list[str]) -> str:
    units = {"entry": "entries"}.get(unit, f"{unit}s")
    count = f"1 bad {unit}" if len(bad) == 1 else f"{len(bad)} bad {units}"
    more = f"; and {len(bad) - NAMED_BAD_LINES} more" if len(bad) > NAMED_BAD_LINES else ""
    return f"{origin} has {count}, to be mended or passed over with --skip-bad-lines: " + (
        "; ".join(bad[:NAMED_BAD_LINES]) + more
    )


def parse_prompts(lines: Iterable[str], origin: str) -> list[Prompt]:
    """Read prompts from JSON lines, each with at least an ``id``, a ``subtask`` and ``turns``.

    Raises:
        DraftwiseError: naming ``origin`` and the first line that can't be read, or whose id stands twice.
    """
    prompts: dict[str, Prompt] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = parse_object(line)
            for key in ("id", "subtask", "turns"):
                if row.get(key) is None:
                    raise DraftwiseError(f"it has no {key}")
            prompt = read_prompt(row, number)
        except DraftwiseError as error:
            raise DraftwiseError(f"{origin}, line {number} is not a prompt: {error}") from None
        if prompt.id in prompts:
            raise DraftwiseError(f"{origin} holds the prompt id {prompt.id!r} more than once")
        prompts[prompt.id] = prompt
    return list(prompts.values())


def parse_object(line: str) -> Row:
    """One line of JSON as the object that it must be.

    Raises:
        DraftwiseError: it is no JSON, no object, holds a key twice or a number that JSON doesn't have.
    """
    return as_row(parse_json(line))


def parse_json(text: str) -> Any:
    """A JSON value, without the liberties that Python's reader takes."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except DraftwiseError:
        raise
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, character {error.colno}" if error.lineno > 1 else f"character {error.colno}"
        raise DraftwiseError(f"not JSON ({error.msg} at {where})") from None
    except RecursionError:
        raise DraftwiseError("not JSON that can be read (nested too deeply)") from None
    except ValueError as error:
        raise DraftwiseError(f"not JSON that can be read ({error})") from None


def as_row(value: Any) -> Row:
    """A JSON value that must be an object."""
    if not isinstance(value, dict):
        raise DraftwiseError(f"not a JSON object but {brief(value)}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DraftwiseError(f"the key {brief(key)} stands twice")
        found[key] = value
    return found


def _no_number(name: str) -> NoReturn:
    raise DraftwiseError(f"{name} is no JSON value")


def read_prompt(row: Row, number: int) -> Prompt:
    """A prompt from a row of the format above; its id is ``line-<number>`` where it names none."""
    turns = read_turns(row)
    references, alternatives = read_references(one_of(row, "reference", "references"), len(turns))
    further = _lists(row.get("alternatives"), "alternatives", len(turns))
    return Prompt(
        id=read_id(row.get("id"), "id", f"line-{number}"),
        subtask=read_subtask(one_of(row, "category", "subtask")),
        turns=turns,
        references=references,
        fields=_lists(row.get("fields"), "fields", len(turns)),
        alternatives=tuple(a + b for a, b in zip(alternatives, further, strict=True))
        if alternatives and further
        else alternatives or further,
    )


def one_of(row: Row, first: str, second: str) -> Any:
    """The value of whichever of two keys is there, None where neither is.

    Raises:
        DraftwiseError: both are there.
    """
    if row.get(first) is not None and row.get(second) is not None:
        raise DraftwiseError(f"both {first} and {second} are given; keep one")
    return row.get(first) if row.get(first) is not None else row.get(second)


def read_text(value: Any, name: str) -> str:
    """A text that a model can be given."""
    if not isinstance(value, str):
        raise DraftwiseError(f"{name} must be text, not {brief(value)}")
    if not value.strip():
        raise DraftwiseError(f"{name} is empty")
    if "\0" in value:
        raise DraftwiseError(f"{name} holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DraftwiseError(f"{name} holds {ascii(value[error.start])}, half a character") from None
    return value


def read_id(value: Any, name: str, default: str | None = None) -> str:
    """A text of one line or a number as an id, or the default in its absence."""
    if value is None and default is not None:
        return default
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise DraftwiseError(f"{name} must be text or a number, not {brief(value)}")
    if not (read_text(value, name).isprintable() and len(value) <= LONGEST_ID):
        raise DraftwiseError(f"{name} must be one line of at most {LONGEST_ID} characters, not {brief(value)}")
    return value


def read_subtask(value: Any) -> str:
    """A subtask's name, without white space around it, or the common one in its absence."""
    if value is None:
        return CUSTOM
    return check_subtask(value.strip() if isinstance(value, str) else value)


def read_turns(row: Row) -> tuple[str, ...]:
    """What the user says, from ``turns`` or ``prompt``."""
    turns = one_of(row, "turns", "prompt")
    if turns is None:
        raise DraftwiseError("neither turns nor prompt is given")
    if row.get("prompt") is not None:
        return (read_text(turns, "prompt"),)
    if not isinstance(turns, list):
        raise DraftwiseError(f"turns must be a list of texts, not {brief(turns)}")
    if not turns:
        raise DraftwiseError("turns is empty")
    return tuple(read_text(turn, f"turn {place}") for place, turn in enumerate(turns, 1))


def read_references(value: Any, turns: int) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The right answer to each turn, and further ones that are as right; either is empty where there are none."""
    if value is None or value == []:
        return (), ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise DraftwiseError(f"reference must be a text or a list of texts, not {brief(value)}")
    if len(value) != turns:
        raise DraftwiseError(f"{len(value)} references for {turns} turns; give one a turn, null where there is none")
    answers = [_answers(item, f"reference {place}") for place, item in enumerate(value, 1)]
    further = tuple(right[1:] for right in answers)
    references = tuple(right[0] if right else "" for right in answers)
    return references if any(references) else (), further if any(further) else ()


def _answers(value: Any, name: str) -> tuple[str, ...]:
    """The right answers to one turn; an empty one is none."""
    if not isinstance(value, list):
        value = [value]
    return tuple(read_text(item, name) for item in value if item is not None and item != "")


def _lists(value: Any, name: str, turns: int) -> tuple[tuple[str, ...], ...]:
    """A list of texts for each turn; for a single turn the list may stand by itself."""
    if value is None or value == []:
        return ()
    if not isinstance(value, list):
        raise DraftwiseError(f"{name} must be a list of texts for each turn, not {brief(value)}")
    if turns == 1 and all(isinstance(item, str) for item in value):
        value = [value]
    if len(value) != turns:
        raise DraftwiseError(f"{name} holds {len(value)} lists for {turns} turns; give one a turn")
    for texts in value:
        if not isinstance(texts, list):
            raise DraftwiseError(f"{name} must be a list of texts for each turn, not {brief(texts)}")
    return tuple(tuple(read_text(text, name) for text in texts) for texts in value)
