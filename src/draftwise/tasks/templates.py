"""How a column of a data set (``translation.en``) or a template over its columns (``Correct: {text}``) becomes text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from draftwise.errors import DraftwiseError, unknown_name
from draftwise.tasks.prompts import brief

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A literal text of a template, or the path of a column whose value stands in its place."""

    text: str
    is_path: bool


@dataclass(frozen=True, slots=True)
class Field:
    """What to take from a row.

    Attributes:
        pieces: in order; a field that is no template is one path.
        is_template: whether the pieces are joined to one text.
    """

    pieces: tuple[Piece, ...]
    is_template: bool

    @property
    def label(self) -> str:
        """What to call the field in a line of error."""
        return "the template's text" if self.is_template else self.pieces[0].text

    def columns(self, known: Sequence[str]) -> list[str]:
        """The columns that the field reads.

        Raises:
            DraftwiseError: one of them isn't known, listing those that are.
        """
        return [_column(piece.text, known) for piece in self.pieces if piece.is_path]

    def value(self, row: Mapping[str, Any]) -> Any:
        """What stands in a row: the value at the path, or the template's text.

        Raises:
            DraftwiseError: a part of a path leads nowhere, or what a template needs there is no text.
        """
        if not self.is_template:
            return _at(row, self.pieces[0].text)
        return "".join(
            as_text(_at(row, piece.text), piece.text) if piece.is_path else piece.text for piece in self.pieces
        )


def parse_field(field: str) -> Field:
    """Read a dotted path, or a template with paths in braces; doubled braces stand for themselves.

    Raises:
        DraftwiseError: a brace has no partner, or no column is named.
    """
    if not ("{" in field or "}" in field):
        if not field.strip():
            raise DraftwiseError(f"a field must name a column, not {field!r}")
        return Field((Piece(field, True),), False)
    pieces = [_piece(match, field) for match in _TOKEN.finditer(field)]
    if not any(piece.is_path for piece in pieces):
        raise DraftwiseError(f"the template {brief(field)} names no column in braces")
    return Field(tuple(pieces), True)


def _piece(match: re.Match[str], field: str) -> Piece:
    token, path = match[0], match[1]
    if path is not None:
        if not path.strip():
            raise DraftwiseError(f"the template {brief(field)} has empty braces; name a column in them")
        return Piece(path.strip(), True)
    if token in ("{", "}"):
        raise DraftwiseError(f"the template {brief(field)} has a {token} without its partner; double it to mean itself")
    return Piece(token[0] if token in ("{{", "}}") else token, False)


def as_text(value: Any, name: str) -> str:
    """A text or a number as text.

    Raises:
        DraftwiseError: it is anything else.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    if value is None:
        raise DraftwiseError(f"{name} is empty")
    inner = f"{name}.0" if isinstance(value, list) else f"{name}.{next(iter(value), 'KEY')}" if value else None
    way_out = f"; name a part of it, such as {inner}" if isinstance(value, (list, dict)) and inner else ""
    raise DraftwiseError(f"{name} is no text but {brief(value)}{way_out}")


def _column(path: str, known: Sequence[str]) -> str:
    column = path if path in known else path.split(".")[0]
    if column not in known:
        raise unknown_name("column", column, known)
    return column


def _at(row: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path of keys and places in lists; None past a list's end or below None."""
    if path in row:
        return row[path]
    value: Any = row
    for step in path.split("."):
        if value is None:
            return None
        if isinstance(value, list) and step.isdecimal():
            value = value[int(step)] if int(step) < len(value) else None
        elif isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, Mapping):
            raise unknown_name(f"part of {path}:", step, value)
        else:
            raise DraftwiseError(f"{path} leads nowhere: {brief(value)} has no {step!r}")
    return value
