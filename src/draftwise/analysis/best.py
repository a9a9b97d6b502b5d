"""The fastest cells of a sweep: overall and for each subtask, among the lossless ones and among all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from draftwise.analysis.names import FLOOR, lossless


def best_cells(summary: dict[str, Any]) -> dict[str, dict[str, str | None]]:
    """The label of the fastest lossless cell and of the fastest of all, for "overall" and each subtask.

    Fastest by the paired speed-up, without plain decoding by tokens/s. The best of many is chosen on the samples that
    rate it, so its figure flatters it a little. None where nothing was measured.
    """
    parts = {
        name: {label: figures for label, figures in cells.items() if label != FLOOR}
        for name, cells in {"overall": summary["overall"], **summary["subtasks"]}.items()
    }
    return {
        name: {
            "lossless": _fastest(cells, (label for label in cells if lossless(summary, label))),
            "any": _fastest(cells, cells),
        }
        for name, cells in parts.items()
    }


def _fastest(cells: dict[str, dict[str, Any]], labels: Iterable[str]) -> str | None:
    rated = list(labels)
    for key in ("speedup", "tokens_per_second"):
        known = [label for label in rated if cells[label][key] is not None]
        if known:
            return max(known, key=lambda label: float(cells[label][key]))
    return None
