"""The second table of a wide console: what became of drafted tokens, and where a round's time went."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from draftwise.analysis.names import FLOOR, title
from draftwise.report.numbers import NOTHING, number, share
from draftwise.report.table import WIDE, Figures, cell_title

MOST_CELLS = 8
POSITIONS = 3
PARTS = ("draft", "verify", "judge", "engine", "wait")
HEADS = ("accepted", "at 1", "2", "3", "wasted", *PARTS, "expected", "break even")
NARROWEST = 4

SHARES_LEGEND = (
    "accepted: share of drafted tokens that stood; at 1–3: of rounds in which that position did. wasted: drafted in "
    "vain, a new token. draft to wait: shares of a round's time in the check pass. expected: speed-up from acceptance "
    "and the cost of passes; break even: tokens a pass that it takes."
)


def shares_table(summary: dict[str, Any], width: int) -> Table | None:
    """The table for a console of that width; None where it is too narrow, or the cells are too many or drafted nothing.

    The page has all of it for every cell and subtask.
    """
    rows = {label: figures for label, figures in summary["overall"].items() if label != FLOOR and figures["time"]}
    if width < WIDE or len(rows) > MOST_CELLS or not any(figures["acceptance"] for figures in rows.values()):
        return None
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", overflow="fold", width=_names(summary, rows, width))
    for head in HEADS:
        table.add_column(head, justify="right", no_wrap=True, width=max(NARROWEST, len(head)))
    for label, figures in rows.items():
        table.add_row(cell_title(summary, label), *_cells(figures))
    return table


def _names(summary: dict[str, Any], rows: Iterable[str], width: int) -> int:
    """The width of the first column: what the others leave, at most the longest name."""
    room = width - sum(max(NARROWEST, len(head)) + 2 for head in HEADS)
    return min(room, max(len(title(summary, label)) for label in rows))


def _cells(figures: Figures) -> list[Text]:
    acceptance, time, cost = (figures[key] or {} for key in ("acceptance", "time", "cost"))
    positions = (acceptance.get("unconditional") or [])[:POSITIONS]
    values = [
        share(figures["acceptance_rate"]) if acceptance else NOTHING,
        *(share(value) for value in (*positions, *[None] * (POSITIONS - len(positions)))),
        number(acceptance.get("wasted_per_token"), 2),
        *(share(time.get(part)) for part in PARTS),
        number(cost.get("expected_speedup"), 2),
        number(cost.get("break_even"), 2),
    ]
    return [Text(value) for value in values]
