"""The rows of the page's tables, as text: they are whole without JavaScript and on paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from draftwise.report.page import words
from draftwise.report.page.cells import CellView

Figures = Mapping[str, Any]
VERDICTS = {"faster": "▲", "slower": "▼", "no difference shown": "≈"}


class Entry(NamedTuple):
    """One field of a table: its text and what stands smaller beside it."""

    text: str
    small: str = ""
    kind: str = "number"


@dataclass(frozen=True, slots=True)
class Row:
    """One cell's fields."""

    cell: CellView
    number: int
    entries: tuple[Entry, ...]


Entries = Callable[[CellView, Figures], tuple[Entry, ...]]


@dataclass(frozen=True, slots=True)
class Part:
    """One subtask's rows, or all subtasks' together (number 0)."""

    name: str
    number: int
    rows: tuple[Row, ...]


def parts(
    summary: dict[str, Any], cells: Sequence[CellView], entries: Entries, wanted: Callable[[Figures], Any] | None = None
) -> list[Part]:
    """The rows of every part: ``entries`` makes those of a cell, ``wanted`` says which cells have a row."""
    tables = [("All subtasks", summary["overall"]), *summary["subtasks"].items()]
    found = [
        Part(name, place, tuple(_rows(table, cells, entries, wanted))) for place, (name, table) in enumerate(tables)
    ]
    return [part for part in found if part.rows]


def _rows(
    table: Mapping[str, Figures],
    cells: Sequence[CellView],
    entries: Entries,
    wanted: Callable[[Figures], Any] | None,
) -> Iterator[Row]:
    for number, cell in enumerate(cells):
        figures = table.get(cell.label) or {}
        if wanted is None or wanted(figures):
            yield Row(cell, number, entries(cell, figures))


RESULT_HEADS = (
    ("tokens/s", "decode, 95 % interval"),
    ("speed-up", "paired, 95 % interval"),
    ("verdict", "from the interval"),
    ("with prefill", "speed-up end to end"),
    ("plain ratio", "of the two rates"),
    ("tokens a pass", "acceptance length"),
    ("agreement", "texts equal to AS"),
    ("quality", "score, 95 % interval"),
    ("samples", "outliers, invalid"),
)


def result_entries(cell: CellView, figures: Figures) -> tuple[Entry, ...]:
    """What the table of results says of a cell."""
    get = figures.get
    return (
        Entry(words.rate(get("tokens_per_second")), words.rate_span(figures, "tokens_per_second")),
        *_speedups(cell, figures),
        Entry(words.fixed(get("acceptance_length"))),
        Entry(words.percent(get("agreement"), 0 if get("agreement") in (0, 1) else 1)),
        Entry(words.fixed(get("quality"), 3), words.span(figures, "quality", 3)),
        Entry(f"{get('samples') or 0:,}", _blemishes(figures)),
    )


def _speedups(cell: CellView, figures: Figures) -> tuple[Entry, ...]:
    if cell.baseline:
        return (Entry("1", "by definition"), Entry("baseline", kind="word"), Entry("1"), Entry("1"))
    verdict = figures.get("verdict")
    return (
        Entry(words.times(figures.get("speedup")), words.span(figures, "speedup")),
        Entry(f"{VERDICTS.get(str(verdict), '')} {verdict}".strip() if verdict else words.NOTHING, kind="word"),
        Entry(words.times(figures.get("end_to_end_speedup")), words.span(figures, "end_to_end_speedup")),
        Entry(words.times(figures.get("speedup_total")), words.span(figures, "speedup_total")),
    )


def _blemishes(figures: Figures) -> str:
    named = (("outliers", "outlier"), ("far_outliers", "far"), ("invalid", "invalid"), ("unpaired", "unpaired"))
    said = [
        words.counted(count, name) if name == "outlier" else f"{count:,} {name}"
        for key, name in named
        if (count := figures.get(key) or 0)
    ]
    return ", ".join(said)


ACCEPTANCE_HEADS = (
    ("by round", "acceptance length"),
    ("by request", "acceptance length"),
    ("accepted", "of drafted tokens"),
    ("drafted", "a round"),
    ("wasted", "drafted tokens"),
    ("wasted", "a new token"),
    ("draft passes", "a round"),
    ("draft wrote", "of the new tokens"),
    ("fallbacks", "a new token"),
    ("rollbacks", "a new token"),
    ("first difference", "from AS: median, earliest"),
)


def acceptance_entries(cell: CellView, figures: Figures) -> tuple[Entry, ...]:
    """What the table of acceptance says of a cell that drafts."""
    get = (figures.get("acceptance") or {}).get
    parting = figures.get("divergence") or {}
    return (
        Entry(words.fixed(get("length"))),
        Entry(words.fixed(get("length_by_request"))),
        Entry(words.percent(get("rate"), 1)),
        Entry(words.fixed(get("drafted_per_round"))),
        Entry(words.fixed(get("wasted"), 0)),
        Entry(words.fixed(get("wasted_per_token"))),
        Entry(words.fixed(get("draft_passes_per_round"))),
        Entry(words.percent(get("small_model_share"), 1)),
        Entry(words.fixed(get("fallbacks_per_token"), 3)),
        Entry(words.fixed(get("rollbacks_per_token"), 3)),
        Entry(words.fixed(parting.get("median"), 0), _earliest(parting)),
    )


def _earliest(parting: Figures) -> str:
    return f"earliest {parting['earliest']}" if parting.get("earliest") is not None else ""


TIME_HEADS = (
    ("draft", ""),
    ("verify", ""),
    ("judge", ""),
    ("engine", ""),
    ("wait", ""),
    ("round", "mean, observed"),
    ("c", "draft pass / target pass"),
    ("round's cost", "in target passes"),
    ("break-even", "tokens a pass"),
    ("expected", "speed-up"),
    ("i.i.d. formula", "speed-up"),
    ("measured", "speed-up"),
    ("gap", "measured / expected"),
    ("bandwidth", "share of the machine's"),
)


def time_entries(cell: CellView, figures: Figures) -> tuple[Entry, ...]:
    """What the table of times and costs says of a cell."""
    time, cost = figures.get("time") or {}, figures.get("cost") or {}
    spent = time.get("round_ns")
    return (
        *(Entry(words.percent(time.get(key), 1)) for key in ("draft", "verify", "judge", "engine", "wait")),
        Entry(words.NOTHING if spent is None else f"{spent / 1e6:.2f}\u202fms"),
        Entry(words.fixed(cost.get("c"), 3)),
        *(Entry(words.fixed(cost.get(key))) for key in ("round_cost", "break_even")),
        Entry(words.times(cost.get("expected_speedup"))),
        Entry(words.times(cost.get("formula_speedup"))),
        Entry("1" if cell.baseline else words.times(figures.get("speedup"))),
        Entry(words.fixed(cost.get("gap"))),
        Entry(words.percent(figures.get("bandwidth_share"))),
    )
