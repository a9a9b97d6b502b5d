"""Prompts from a file of the user's: JSON lines, a JSON list, or a prompt a line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from draftwise.errors import DraftwiseError
from draftwise.tasks.prompts import Prompt, Suite, brief
from draftwise.tasks.rows import (
    CUSTOM,
    LONGEST_LINE,
    Row,
    as_row,
    gather,
    parse_json,
    parse_object,
    read_prompt,
    read_text,
)
from draftwise.tasks.sources import SuiteSource

_BOM = b"\xef\xbb\xbf"


def load_file(source: SuiteSource, limit: int | None) -> Suite:
    """The prompts of ``source.data``, which is read by its extension: one of ``FORMATS``.

    Raises:
        DraftwiseError: the file can't be read, or a part of it is no prompt.
    """
    path = Path(str(source.data))
    read = FORMATS.get(path.suffix.lower())
    if read is None and not os.path.isdir(path):
        raise DraftwiseError(f"{path} must end in one of: {', '.join(FORMATS)}")
    return (read or _json_lines)(path, source.skip_bad_lines)


def load_lines(path: Path, read: Callable[[Row, int], Prompt], skip: bool) -> Suite:
    """The prompts of a file of JSON lines, each of them made by ``read`` of its object and its number."""
    return gather(
        _lines(path), lambda raw, number: read(parse_object(_line(raw)), number),
        origin=str(path), unit="line", skip=skip,
    )  # fmt: skip


def _json_lines(path: Path, skip: bool) -> Suite:
    return load_lines(path, read_prompt, skip)


def _json_list(path: Path, skip: bool) -> Suite:
    try:
        values = parse_json(_decoded(b"".join(_chunks(path))))
    except DraftwiseError as error:
        raise DraftwiseError(f"{path}: {error}") from None
    if not isinstance(values, list):
        raise DraftwiseError(f"{path} must hold a list of objects, not {brief(values)}")
    entries = enumerate(values, 1)
    return gather(
        entries, lambda value, number: read_prompt(as_row(value), number), origin=str(path), unit="entry", skip=skip
    )


def _text_lines(path: Path, skip: bool) -> Suite:
    def read(raw: bytes, number: int) -> Prompt:
        return Prompt(f"line-{number}", CUSTOM, (read_text(_line(raw), "the prompt"),))

    return gather(_lines(path), read, origin=str(path), unit="line", skip=skip)


FORMATS: dict[str, Callable[[Path, bool], Suite]] = {
    ".jsonl": _json_lines,
    ".json": _json_list,
    ".txt": _text_lines,
}
"""How a file of prompts is read, by its extension."""


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that aren't blank, with their numbers; only a line feed ends a line, as JSON lines want it."""
    for number, raw in enumerate(_chunks(path), 1):
        line = raw.rstrip(b"\r\n")
        if line.strip():
            yield number, line


def _chunks(path: Path) -> Iterator[bytes]:
    """The file's lines as they are, but for the mark that some editors put before the first."""
    if os.path.isdir(path):
        raise DraftwiseError(f"{path} is a directory; name a file of prompts")
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file):
                yield raw.removeprefix(_BOM) if number == 0 else raw
    except (OSError, ValueError) as error:
        raise DraftwiseError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from None


def _line(raw: bytes) -> str:
    if len(raw) > LONGEST_LINE:
        raise DraftwiseError(f"{len(raw):,} bytes long, more than {LONGEST_LINE:,}")
    return _decoded(raw)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DraftwiseError(f"not UTF-8 (byte 0x{raw[error.start]:02x} at {error.start + 1})") from None
