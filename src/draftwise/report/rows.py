"""A run as rows of a table for other programs: its figures, or its timed samples one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from draftwise.bench.guard import sample_fault
from draftwise.bench.records import RECORDS, read_samples
from draftwise.bench.store import read_run

Way = tuple[str, ...]
"""The keys that lead to a figure."""

Row = tuple[Any, ...]

FROM_ZERO = ("histogram",)
"""Lists whose first place is counted as 0: rounds with no token accepted. All others begin with position 1."""

TEXT, WHOLE, NUMBER, TRUTH, IDS = "text", "whole", "number", "truth", "ids"
"""What a column holds; ``IDS`` are lists of whole numbers."""


class Column(NamedTuple):
    """A column and what it holds; any of its values may be None."""

    name: str
    kind: str


class Rows(NamedTuple):
    """A table: rows as long as there are columns, to be gone through once."""

    columns: tuple[Column, ...]
    rows: Iterable[Row]


def figure_rows(runs: Iterable[tuple[str, dict[str, Any]]]) -> Rows:
    """A row for each part (overall and every subtask) and cell of labelled summaries, a column for every figure.

    Columns are named by the way to their figure: ``acceptance_rate`` is ``figures["acceptance"]["rate"]``,
    ``acceptance_unconditional_2`` the second value of that list, the second position.
    """
    found = [row for label, summary in runs for row in _of_summary(label, summary)]
    ways = _ways(found)
    if all(row[("run",)] == "" for row in found):
        ways.remove(("run",))
    columns: dict[str, list[Any]] = {}
    for way in ways:
        _add(columns, way, [row.get(way) for row in found])
    return Rows(tuple(_column(name, own) for name, own in columns.items()), list(zip(*columns.values(), strict=True)))


def _ways(rows: Iterable[Mapping[Way, Any]]) -> list[Way]:
    """The ways to all values, as the tables within the figures stand; none to a table that is None in some rows."""
    known = dict.fromkeys(way[:size] for row in rows for way in row for size in range(1, len(way) + 1))
    ranks = {way: rank for rank, way in enumerate(known)}
    inner = {way[:-1] for way in known}

    def order(way: Way) -> tuple[int, ...]:
        return tuple(int(key) if key.isdigit() else ranks[way[: place + 1]] for place, key in enumerate(way))

    return sorted((way for way in known if way not in inner), key=order)


def _add(columns: dict[str, list[Any]], way: Way, values: list[Any]) -> None:
    """Add a column; one that says the same under the same name (``acceptance_rate``) is filled up instead."""
    name = "_".join(way)
    known = columns.get(name, values)
    if any(old is not None and new is not None and old != new for old, new in zip(known, values, strict=True)):
        columns["__".join(way)] = values
    else:
        columns[name] = [new if old is None else old for old, new in zip(known, values, strict=True)]


def _of_summary(label: str, summary: dict[str, Any]) -> Iterator[dict[Way, Any]]:
    methods = summary["environment"].get("methods") or {}
    parts = [("overall", "", summary["overall"])]
    parts += [("subtask", name, cells) for name, cells in summary["subtasks"].items()]
    for part, subtask, cells in parts:
        for method, figures in cells.items():
            facts = methods.get(method) or {}
            about = {"run": label, "part": part, "subtask": subtask or None, "method": method}
            about |= {"title": facts.get("title", method), "lossless": facts.get("lossless")}
            about |= {"draft": facts.get("draft"), "option": facts.get("options") or {}}
            yield dict(_leaves(about | figures))


def _leaves(value: Any, way: Way = ()) -> Iterator[tuple[Way, Any]]:
    """Every value that is no table and no list, with the way to it."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, (*way, str(name)))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value, 0 if way[-1] in FROM_ZERO else 1):
            yield from _leaves(inner, (*way, str(place)))
    else:
        yield way, value


def _column(name: str, values: Iterable[Any]) -> Column:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool} and kinds:
        return Column(name, TRUTH)
    if kinds <= {int} and kinds:
        return Column(name, WHOLE)
    return Column(name, NUMBER if kinds <= {int, float} else TEXT)


SAMPLE_COLUMNS = (
    Column("prompt_id", TEXT),
    Column("subtask", TEXT),
    Column("turn", WHOLE),
    Column("method", TEXT),
    Column("session", WHOLE),
    Column("repeat", WHOLE),
    Column("order", WHOLE),
    Column("seed", WHOLE),
    Column("prompt_tokens", WHOLE),
    Column("passes", WHOLE),
    Column("compilations", WHOLE),
    Column("prefill_ns", WHOLE),
    Column("ttft_ns", WHOLE),
    Column("decode_ns", WHOLE),
    Column("total_ns", WHOLE),
)
"""The columns of a sample that stand in its record as they are."""


def sample_rows(runs: Iterable[tuple[str, Path]]) -> Rows:
    """Every timed sample of labelled runs, read one by one, so that a run of any length takes no more memory.

    ``fault`` says why a sample counts for nothing. Raises as it is gone through: ``DraftwiseError`` where a run can't
    be read.
    """
    places = list(runs)
    several = any(label for label, _ in places)
    more = (Column("new_tokens", WHOLE), Column("fault", TEXT), Column("token_ids", IDS))
    columns = (*((Column("run", TEXT),) if several else ()), *SAMPLE_COLUMNS, *more)
    return Rows(columns, (row for label, place in places for row in _samples(label, place, several)))


def _samples(label: str, place: Path, several: bool) -> Iterator[Row]:
    limit = int(read_run(place)["settings"]["decoding"]["max_new_tokens"])
    if not (place / RECORDS).exists():  # it was stopped before the first
        return
    run = (label,) if several else ()
    names = [column.name for column in SAMPLE_COLUMNS]
    for sample in read_samples(place):
        own = [getattr(sample, name) for name in names]
        yield (*run, *own, len(sample.new_tokens), sample_fault(sample, limit), sample.new_tokens)
