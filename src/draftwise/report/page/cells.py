"""The cells of a run as the page draws them: a colour and a shape for each method, and the cells of the headline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from draftwise.analysis import names
from draftwise.analysis.names import BASELINE, FLOOR

HUES = {"as": 0, "as*": 0, "sps": 1, "bild": 2}
SHAPES = ("circle", "circle", "diamond", "triangle", "square", "star", "wye")
OTHERS = range(3, 7)
FEW = 6


@dataclass(frozen=True, slots=True)
class CellView:
    """One cell.

    Attributes:
        label: its key in the records.
        title: its name as people write it.
        method: its method's name.
        lossless: whether its text is plain decoding's.
        baseline: whether it is plain decoding.
        floor: whether it is plain decoding measured again.
        hue: which of the page's colours its method has.
        shape: which sign its method has in charts.
    """

    label: str
    title: str
    method: str
    lossless: bool
    baseline: bool
    floor: bool
    hue: int
    shape: str


def cell_views(summary: dict[str, Any]) -> list[CellView]:
    """Every cell, in the summary's order."""
    views: list[CellView] = []
    hues = dict(HUES)
    for label in summary["overall"]:
        own = names.method(summary, label)
        hue = hues.setdefault(own, OTHERS[(len(hues) - len(HUES)) % len(OTHERS)])
        views.append(
            CellView(
                label=label,
                title=names.title(summary, label),
                method=own,
                lossless=names.lossless(summary, label),
                baseline=label == BASELINE,
                floor=own == FLOOR,
                hue=hue,
                shape=SHAPES[hue],
            )
        )
    return views


def shown_first(summary: dict[str, Any], views: list[CellView]) -> list[CellView]:
    """The cells of the headline: all where they are few, else the fastest ones and the noise floor."""
    others = [view for view in views if not view.baseline]
    if len(others) <= FEW:
        return others or views
    best = (summary.get("best") or {}).get("overall") or {}
    chosen = {best.get("lossless"), best.get("any")}
    found = [view for view in others if view.label in chosen or view.floor]
    return found if any(view.label in chosen for view in found) else others[:FEW]
