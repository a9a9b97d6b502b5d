"""What the page's scripts read: the figures that the charts draw, and samples, as one JSON value.

Parts and cells are numbered, 0 being all subtasks together, so that no name of theirs is ever a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from draftwise.report.page.answers import browser_payload
from draftwise.report.page.cells import CellView

if TYPE_CHECKING:
    from draftwise.analysis.run import RunData

POINTS = 3000
"""The most samples drawn one by one, as long as the far outliers, which come first, are no more than these."""

MOST_POINTS = 6000
"""With more far outliers than this only the slowest of them are drawn."""

DIGITS = 5
DRAWN = (
    *(f"{key}{end}" for key in ("speedup", "quality", "quality_change") for end in ("", "_low", "_high")),
    *("tokens_per_second", "tokens_per_second_low", "tokens_per_second_high"),
    *("verdict", "agreement", "acceptance_length", "bandwidth_share", "samples"),
)
OWN = ("speedup", "speedup_low", "speedup_high", "verdict", "quality_change")
ACCEPTANCE = ("unconditional", "conditional", "histogram", "rounds", "length", "rate")
COST = ("expected_speedup", "formula_speedup", "break_even", "c", "v")
TIME = ("draft", "verify", "judge", "engine", "wait")


def payload(run: RunData, summary: dict[str, Any], cells: Sequence[CellView]) -> dict[str, Any]:
    """Everything that the scripts need, bounded in size for any run."""
    parts = [summary["overall"], *summary["subtasks"].values()]
    names = list(summary["subtasks"])
    return {
        "cells": [asdict(cell) for cell in cells],
        "subtasks": names,
        "figures": [[_drawn(cell, table.get(cell.label) or {}) for cell in cells] for table in parts],
        "costs": _costs(summary.get("costs")),
        "points": _points(run, cells),
        "browser": browser_payload(run, cells, names),
    }


def _drawn(cell: CellView, figures: dict[str, Any]) -> dict[str, Any]:
    """The figures that are drawn, those that are None left out, and the baseline's comparison with itself."""
    found = {key: figures.get(key) for key in DRAWN if not (cell.baseline and key in OWN)}
    for key, names in (("acceptance", ACCEPTANCE), ("cost", COST), ("time", (*TIME, "round_ns"))):
        inner = figures.get(key)
        found[key] = {name: inner.get(name) for name in names} if inner else None
    return {key: rounded(value) for key, value in found.items() if value is not None}


def rounded(value: Any) -> Any:
    """A JSON value whose numbers hold five digits, which no chart can tell from more."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list | tuple) else value


def _costs(costs: dict[str, Any] | None) -> dict[str, Any] | None:
    """Milliseconds of a pass by the number of its tokens, for the target and each draft."""
    if not costs:
        return None
    return {
        "context": costs.get("context"),
        "passes": costs.get("passes"),
        "target": _curve(costs.get("target") or {}),
        "drafts": [[name, _curve(curve)] for name, curve in (costs.get("drafts") or {}).items()],
    }


def _curve(curve: dict[str, float]) -> list[list[float]]:
    return sorted([int(tokens), rounded(ns / 1e6)] for tokens, ns in curve.items())


def _points(run: RunData, cells: Sequence[CellView]) -> dict[str, Any]:
    """Samples as columns; a prompt's name stands once."""
    from draftwise.analysis.speeds import raw_points

    points, left_out = raw_points(run.frame, POINTS)
    if len(points) > MOST_POINTS:
        left_out += len(points) - MOST_POINTS
        points = sorted(points, key=lambda point: (point.outlier, point.ms))[-MOST_POINTS:]
    place = {cell.label: number for number, cell in enumerate(cells)}
    subtask_of = {prompt.id: prompt.subtask for prompt in run.prompts}
    names: dict[str, int] = {}
    columns: dict[str, list[Any]] = {key: [] for key in ("cell", "prompt", "turn", "session", "repeat", "ms", "kind")}
    for point in points:
        columns["cell"].append(place[point.label])
        columns["prompt"].append(names.setdefault(point.prompt, len(names)))
        columns["ms"].append(rounded(float(point.ms)))
        columns["kind"].append(int(point.outlier))
        for key in ("turn", "session", "repeat"):
            columns[key].append(int(getattr(point, key)))
    return columns | {
        "prompts": list(names),
        "subtasks": [subtask_of.get(name) for name in names],
        "left_out": left_out,
    }
