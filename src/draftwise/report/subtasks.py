"""The subtasks of a run: a row each with the cells side by side, or a table each where the cells are too many."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from draftwise.analysis.names import BASELINE, FLOOR, lossless, title
from draftwise.report.numbers import number
from draftwise.report.plain import printable
from draftwise.report.table import Column, Figures, cells_table, speedup

LONGEST_NAME = 18
"""Of a subtask's name so much is never folded."""

SPEEDUP, LENGTH, QUALITY = 19, 8, 7


def subtask_tables(summary: dict[str, Any], width: int) -> list[Table]:
    """One table where the cells have room beside one another, else one for each subtask."""
    parts = summary["subtasks"]
    if not parts:
        return []
    names = min(LONGEST_NAME, max(map(len, parts)))
    for detailed in (True, False):
        columns = _columns(summary, detailed)
        room = width - sum(column.width + 2 for _, column in columns)
        if columns and room >= names:
            return [_side_by_side(summary, columns, min(room, max(map(len, parts))))]
    return [cells_table(summary, name, cells, width, header=False) for name, cells in parts.items()]


def _columns(summary: dict[str, Any], detailed: bool) -> list[tuple[str, Column]]:
    """The columns with the cell that each is about; none where there is nothing to compare, or a name is too long."""
    compared = [label for label in summary["overall"] if label not in (BASELINE, FLOOR)]
    titles = {label: printable(title(summary, label)) for label in compared}
    if BASELINE not in summary["overall"] or any(len(said) + len(" speed-up") > SPEEDUP for said in titles.values()):
        return []
    lossy = [label for label in compared if not lossless(summary, label)]
    columns = [(BASELINE, Column("AS tok/s", LENGTH, lambda figures: number(figures["tokens_per_second"], 1)))]
    if lossy and detailed:
        columns.append((BASELINE, _quality()))
    for label in compared:
        columns.append((label, Column(f"{titles[label]} speed-up  ", SPEEDUP, speedup)))
        if detailed:
            columns.append((label, Column("acc. len", LENGTH, _length)))
        if label in lossy:
            columns.append((label, _quality()))
    return columns


def _quality() -> Column:
    return Column("quality", QUALITY, lambda figures: number(figures["quality"], 3))


def _length(figures: Figures) -> str:
    return number(figures["acceptance_length"], 2)


def _side_by_side(summary: dict[str, Any], columns: list[tuple[str, Column]], names: int) -> Table:
    table = Table(
        title=Text("by subtask", style="bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("", width=names, overflow="fold")
    for _, column in columns:
        table.add_column(column.head, width=column.width, justify="right", no_wrap=True)
    for name, cells in summary["subtasks"].items():
        table.add_row(Text(printable(name)), *(column.cell(cells[label]) for label, column in columns))
    return table
