"""The tables: overall first, then each subtask, all in the same columns; legible from 80 characters of width on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from draftwise.analysis.names import BASELINE, lossless, title
from draftwise.report.numbers import interval, number

WIDE = 100
"""From this width on the end-to-end speed-up has its interval too."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of every table."""

    head: str
    width: int
    cell: Callable[[dict[str, Any]], str]


def columns(width: int) -> list[Column]:
    """The columns that a console of that width has room for."""
    wide = width >= WIDE
    return [
        Column("tokens/s [95 %]", 23 if wide else 19, _tokens_per_second),
        Column("speed-up [95 %]", 19 if wide else 17, lambda figures: interval(figures, "speedup", 2)),
        Column("total [95 %]", 19, lambda figures: interval(figures, "end_to_end_speedup", 2))
        if wide
        else Column("total", 5, lambda figures: number(figures["end_to_end_speedup"], 2)),
        Column("acc. len", 8, lambda figures: number(figures["acceptance_length"], 2)),
        Column("agree", 5, lambda figures: number(figures["agreement"], 2)),
        Column("quality", 7, lambda figures: number(figures["quality"], 3)),
    ]


def tables(summary: dict[str, Any], width: int) -> list[Table]:
    """The overall table and one for each subtask, for a console of that width."""
    parts = {"overall": summary["overall"], **summary["subtasks"]}
    return [_table(summary, name, methods, width) for name, methods in parts.items()]


def _table(summary: dict[str, Any], name: str, methods: dict[str, dict[str, Any]], width: int) -> Table:
    first = name == "overall"
    table = Table(
        title=Text(name, style="bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        show_header=first,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    chosen = columns(width)
    table.add_column("", width=6, no_wrap=True)
    for column in chosen:
        table.add_column(column.head, width=column.width, justify="right", no_wrap=True)
    for method, figures in methods.items():
        cells = [column.cell(figures) for column in chosen]
        table.add_row(Text(title(summary, method), style=_style(summary, method)), *cells)
    return table


def _tokens_per_second(figures: dict[str, Any]) -> str:
    value = figures["tokens_per_second"]
    return interval(figures, "tokens_per_second", 0 if value is not None and value >= 100 else 1)


def _style(summary: dict[str, Any], method: str) -> str:
    if method == BASELINE:
        return "dim"
    return "green" if lossless(summary, method) else "yellow"
