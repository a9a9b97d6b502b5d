"""The tables of a run's cells: overall, and a subtask's where there is no room to set the cells side by side.

All of them have the same columns, and are legible from 80 characters of width on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from draftwise.analysis.names import BASELINE, FLOOR, lossless, title
from draftwise.report.numbers import FASTER, NO_DIFFERENCE, SIGNS, SLOWER, compared, interval, number, rate_interval
from draftwise.report.plain import printable

WIDE = 100
"""From this width on the end-to-end speed-up has its interval too, where the names of the cells leave room for it."""

LONGEST = 32
"""A longer name of a cell may be wrapped for the sake of a column."""

SHORTEST = 4
"""The least width of the first column; wide enough for the methods' own names."""

COLOURS = {FASTER: "green", SLOWER: "red", NO_DIFFERENCE: "dim"}
SHORT_WORDS = {NO_DIFFERENCE: "no difference"}

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of every table."""

    head: str
    width: int
    cell: Callable[[Figures], str | Text]


class Layout(NamedTuple):
    """How a console's width is shared out."""

    names: int  # the first column's width; longer names are wrapped
    columns: list[Column]


def layout(width: int, longest: int) -> Layout:
    """The columns that a console of that width has room for beside names of up to ``longest`` characters."""
    wanted = max(SHORTEST, min(longest, LONGEST))
    choices = ([_worded(), _wide()] if width >= WIDE else []) + [_narrow(), _bare()]
    found = next((columns for columns in choices if _room(width, columns) >= wanted), choices[-1])
    return Layout(max(SHORTEST, min(longest, _room(width, found))), found)


def _room(width: int, columns: list[Column]) -> int:
    """What the columns leave to the names; two spaces part each column from what stands before it."""
    return width - sum(column.width + 2 for column in columns)


def _worded() -> list[Column]:
    """With the verdict in words."""
    rate, speedup, *others = _wide()
    return [rate, speedup, Column("", 13, _verdict), *others]


def _wide() -> list[Column]:
    return [
        Column("tokens/s [95 %]", 23, rate_interval),
        Column("speed-up [95 %]  ", 21, speedup),
        Column("total [95 %]", 19, lambda figures: interval(figures, "end_to_end_speedup", 2)),
        *_others(),
    ]


def _narrow() -> list[Column]:
    return [
        Column("tokens/s [95 %]", 19, rate_interval),
        Column("speed-up [95 %]  ", 19, speedup),
        Column("total", 5, lambda figures: number(figures["end_to_end_speedup"], 2)),
        *_others(),
    ]


def _bare() -> list[Column]:
    """Without the interval of the rate: the speed-up's is what tells cells apart."""
    return [Column("tokens/s", 8, lambda figures: number(figures["tokens_per_second"], 1)), *_narrow()[1:]]


def _others() -> list[Column]:
    return [
        Column("acc. len", 8, lambda figures: number(figures["acceptance_length"], 2)),
        Column("agree", 5, lambda figures: number(figures["agreement"], 2)),
        Column("quality", 7, lambda figures: number(figures["quality"], 3)),
    ]


def speedup(figures: Figures) -> Text:
    """The speed-up with its interval, and the sign of its verdict behind it."""
    verdict = figures["verdict"]
    said = f"{interval(figures, 'speedup', 2)} {SIGNS.get(verdict, ' ')}"
    return Text(said, style=COLOURS.get(verdict, ""), justify="right")


def _verdict(figures: Figures) -> Text:
    verdict = figures["verdict"]
    return Text(SHORT_WORDS.get(verdict, verdict or ""), style=COLOURS.get(verdict, ""))


def part_table(name: str, *, header: bool) -> Table:
    """An empty table under the name of a part of the run; ``header`` says whether the columns' heads are shown."""
    return Table(
        title=Text(printable(name), style="bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        show_header=header,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )


def cells_table(
    summary: dict[str, Any], name: str, cells: dict[str, dict[str, Any]], width: int, *, header: bool
) -> Table:
    """A row for each cell, under a name; ``header`` says whether the columns' heads are shown."""
    table = part_table(name, header=header)
    names, columns = layout(width, max(len(title(summary, label)) for label in cells))
    table.add_column("", width=names)
    for column in columns:
        table.add_column(column.head, width=column.width, justify="right", no_wrap=True)
    for label, figures in cells.items():
        style, own = "dim" if label == FLOOR else "", compared(label, figures)
        table.add_row(cell_title(summary, label), *(column.cell(own) for column in columns), style=style)
    return table


def cell_title(summary: dict[str, Any], label: str) -> Text:
    """A cell's name in its colour: plain decoding dim, lossless green, lossy yellow."""
    plain = label in (BASELINE, FLOOR)
    style = "dim" if plain else "green" if lossless(summary, label) else "yellow"
    return Text(printable(title(summary, label)), style=style)
