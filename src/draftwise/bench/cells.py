"""What a run compares: a cell is a method with one draft and one value of each option that the method reads.

An option with several values gives each method that reads it several cells, and leaves the others alone: plain decoding
stands once for a target, and a method isn't run again for another method's thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from draftwise.bench.settings import BenchSettings, to_value
from draftwise.options import DecodingOptions

if TYPE_CHECKING:
    from draftwise.methods import Method

BASELINE = "as"
"""The label of plain decoding, which no swept option splits."""

FLOOR = "as*"
"""The label of plain decoding once more: what is between the two is noise."""

SYMBOLS: Mapping[str, str] = {
    "gamma": "γ",
    "fallback_threshold": "fb",
    "rollback_threshold": "rb",
    "max_draft_tokens": "most",
}
"""How an option is written in a title."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of the comparison.

    Attributes:
        label: the method's name, and where options are swept those that tell it from the method's other cells.
        title: the same as people write it.
        method: a name in ``methods.METHODS``.
        draft: the draft's name, None for a method without one.
        options: how it decodes.
    """

    label: str
    title: str
    method: str
    draft: str | None
    options: DecodingOptions


def make_cells(settings: BenchSettings) -> tuple[Cell, ...]:
    """Every cell of a run, method by method in the settings' order."""
    from draftwise.methods import METHODS

    return tuple(cell for name in settings.methods for cell in _cells_of(METHODS[name], settings))


def reads(method: Method, name: str) -> bool:
    """Whether an option of a sweep makes a difference to a method."""
    return name in method.options or (name == "draft" and method.needs_draft)


def describe_cells(cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """What a report must know of each cell, by label, as JSON values."""
    from draftwise.methods import METHODS

    return {
        cell.label: {
            "method": cell.method,
            "title": cell.title,
            "lossless": METHODS[cell.method].lossless,
            "paper": METHODS[cell.method].paper,
            "draft": cell.draft,
            "options": {name: to_value(getattr(cell.options, name)) for name in METHODS[cell.method].options},
        }
        for cell in cells
    }


def short_names(names: Sequence[str]) -> dict[str, str]:
    """The shortest end of each path or Hub id, counted in its parts, that no other of them ends in.

    What can't be printed, such as a byte of a path that is no UTF-8, is escaped: the names go into records.
    """
    parts = {name: [part for part in name.replace("\\", "/").split("/") if part] or [name] for name in names}
    short: dict[str, str] = {}
    for name, own in parts.items():
        ends = ("/".join(own[-size:]) for size in range(1, len(own) + 1))
        others = [f"/{'/'.join(other)}" for key, other in parts.items() if key != name]
        end = next((end for end in ends if not any(other.endswith(f"/{end}") for other in others)), name)
        short[name] = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in end)
    return short


def shown(value: Any) -> str:
    """An option's value as it is written in labels: 3.0 is 3."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _cells_of(method: Method, settings: BenchSettings) -> Iterator[Cell]:
    axes = [axis for axis in settings.sweep if reads(method, axis.name)]
    short = short_names(settings.drafts)
    for values in product(*(axis.values for axis in axes)):
        chosen = {axis.name: value for axis, value in zip(axes, values, strict=True)}
        draft = chosen.pop("draft", None) or (settings.drafts[0] if method.needs_draft else None)
        label, title = method.name, method.title
        for axis, value in zip(axes, values, strict=True):
            text = short[value] if axis.name == "draft" else shown(value)
            label += f" {axis.name}={text}"
            title += f" {text}" if axis.name == "draft" else f" {SYMBOLS.get(axis.name, axis.name)}={text}"
        yield Cell(label, title, method.name, draft, replace(settings.decoding, **chosen))
