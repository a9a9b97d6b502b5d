"""The small table of a sweep: the fastest lossless cell and the fastest of all, overall and for each subtask."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from draftwise.analysis.names import BASELINE, lossless
from draftwise.report.numbers import NOTHING, number
from draftwise.report.table import WIDE, cell_title

SPEED, QUALITY = 8, 13
LONGEST_WORD = 18  # characters of a subtask's name that are never folded

BEST_LEGEND = (
    "fastest: by speed-up; a lossy cell's quality stands beside that of AS. The best of many is chosen on the samples "
    "that rate it, which flatters it a little."
)


def best_table(summary: dict[str, Any], width: int) -> Table | None:
    """The table for a console of that width; None where nothing was swept."""
    if not summary["best"]:
        return None
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    first = min(LONGEST_WORD, max(len(word) for part in summary["best"] for word in part.split()))
    # Two spaces part each column from the next; the names of the two cells share what the others leave.
    share = (width - first - 2 * SPEED - QUALITY - 10) // 2
    table.add_column("", min_width=first, max_width=first if width < WIDE else None, overflow="fold")
    table.add_column("fastest lossless", max_width=share)
    table.add_column("speed-up", width=SPEED, justify="right")
    table.add_column("fastest of all", max_width=share)
    table.add_column("speed-up", width=SPEED, justify="right")
    table.add_column("quality / AS", width=QUALITY, justify="right")
    for part, best in summary["best"].items():
        cells = summary["overall"] if part == "overall" else summary["subtasks"][part]
        table.add_row(
            Text(part, style="bold"),
            *_cell(summary, cells, best["lossless"]),
            *_cell(summary, cells, best["any"]),
            _quality(summary, cells, best["any"]),
        )
    return table


def _cell(summary: dict[str, Any], cells: dict[str, dict[str, Any]], label: str | None) -> tuple[Text, str]:
    if label is None:
        return Text(NOTHING), NOTHING
    return cell_title(summary, label), number(cells[label]["speedup"], 2)


def _quality(summary: dict[str, Any], cells: dict[str, dict[str, Any]], label: str | None) -> str:
    """A lossy cell's score, and after it that of plain decoding."""
    if label is None or lossless(summary, label):
        return ""
    own, other = cells[label]["quality"], cells.get(BASELINE, {}).get("quality")
    return number(own, 3) if other is None else f"{number(own, 3)} / {number(other, 3)}"
