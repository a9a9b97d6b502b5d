"""Shows a comparison of runs: for people on a console, and as Markdown for a pull request.

Names of models, files and subtasks come from data, so all of them are written as text: no markup of either form, and no
sign that a terminal would obey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from draftwise.report.github import bullets, escaped, heading, table
from draftwise.report.numbers import (
    FASTER,
    NO_DIFFERENCE,
    NOTHING,
    SLOWER,
    change,
    change_interval,
    interval,
    number,
)
from draftwise.report.plain import printable
from draftwise.report.table import part_table

Figures = dict[str, Any]

LEGEND = (
    "speed: how many times as fast as in A a cell decodes, by time per token, paired by prompt. speed-up: the same of "
    "the speed-ups over each run's own AS. total: plain ratio of the tokens/s. agree: share of answers with the same "
    "ids. quality: change of the score. Brackets: 95 % interval; of twenty rows that are alike one is called different."
)

STYLES = {FASTER: "green", SLOWER: "red", NO_DIFFERENCE: "dim"}

LONGEST = 32
"""A longer name of a cell may be wrapped for the sake of a column."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of every table."""

    head: str
    cell: Callable[[Figures], str]


def report_comparison(comparison: Figures, of: str, console: Console) -> None:
    """Print the runs, and for each but the first what differs, the tables and what to beware of.

    Args:
        comparison: as ``analysis.compare.compare_runs`` returns it.
        of: "speed" or "speedup", which the verdicts are of.
        console: where to.
    """
    console.print(_runs_block(comparison["runs"]))
    for pair in comparison["comparisons"]:
        console.print()
        console.rule(f"{pair['name']} against {comparison['runs'][0]['name']}", characters="─", align="left")
        for line in fact_lines(pair):
            console.print(_warning(line))
        for line in difference_lines(pair):
            console.print(Text(printable(line)))
        for part in _tables(pair, of, console.width):
            console.print()
            console.print(part)
        console.print()
        for note in notes(pair):
            console.print(_warning(note))
    console.print(Text(LEGEND, style="dim"))


def comparison_markdown(comparison: Figures, of: str) -> str:
    """The same as Markdown."""
    first = comparison["runs"][0]["name"]
    lines = [
        *heading(1, "Runs compared"),
        *bullets(f"{name}: {facts}" for name, facts in _run_rows(comparison["runs"])),
    ]
    for pair in comparison["comparisons"]:
        lines += [
            *heading(2, f"{pair['name']} against {first}"),
            *bullets([*fact_lines(pair), *difference_lines(pair)]),
        ]
        columns = _layouts(pair["name"], of)[0][:-1]
        heads = ("", *(column.head for column in columns), "quality [95 %]")
        for part, cells in pair["parts"].items():
            rows = [
                (
                    pair["titles"][label],
                    *(column.cell(figures) for column in columns),
                    change_interval(figures, "quality_change", 3),
                )
                for label, figures in cells.items()
            ]
            lines += [*heading(3, part), *table(heads, rows, texts=1)]
        lines += bullets(notes(pair))
    return "\n".join([*lines, escaped(LEGEND), ""])


def fact_lines(pair: Figures) -> Iterator[str]:
    """What makes two runs no equals, a line a kind; they are compared by force."""
    for kind, lines in pair["differences"]["facts"].items():
        yield f"{kind} that differ{'' if kind == 'models' else 's'}, so the ratios may say nothing: {'; '.join(lines)}"


def difference_lines(pair: Figures) -> Iterator[str]:
    """What else two runs don't have alike, a line a kind."""
    for kind, ending in (("settings", ""), ("software", "s")):
        lines = pair["differences"][kind]
        if lines:
            yield f"{kind} that differ{ending}: {'; '.join(lines)}"


def notes(pair: Figures) -> Iterator[str]:
    """What to beware of, and each change of quality that is shown."""
    yield from pair["notes"]
    for label, figures in pair["parts"]["overall"].items():
        low, high = figures["quality_change_low"], figures["quality_change_high"]
        if low is not None and (low > 0 or high < 0):
            said = change_interval(figures, "quality_change", 3)
            yield f"{pair['titles'][label]}: the quality changed by {said}."


def _warning(text: str) -> Text:
    return Text.assemble(("! ", "bold yellow"), printable(text))


def _runs_block(runs: Sequence[Figures]) -> Table:
    block = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    block.add_column(style="bold", no_wrap=True)
    block.add_column(overflow="fold")
    for name, value in _run_rows(runs):
        block.add_row(Text(printable(name)), Text(printable(value)))
    return block


def _run_rows(runs: Sequence[Figures]) -> Iterator[tuple[str, str]]:
    for place, run in enumerate(runs):
        taken = f"{run['samples']} of {run['planned_samples']} samples"
        facts = [str(run["directory"] or "in memory"), str(run["time"] or ""), taken, "the reference" * (place == 0)]
        yield run["name"], ", ".join(filter(None, facts))


def _verdict(of: str) -> Column:
    return Column("verdict", lambda figures: figures[f"{of}_verdict"] or NOTHING)


def _ratio(key: str, head: str) -> Column:
    return Column(f"{head} [95 %]", lambda figures: interval(figures, key, 2))


def _judged(of: str, *, narrow: bool) -> list[Column]:
    """Both ratios, the verdict behind the one that it is of; ``narrow`` spares the other one's interval."""
    columns: list[Column] = []
    for key, head in (("speed", "speed"), ("speedup", "speed-up")):
        columns.append(_bare(key, head) if narrow and key != of else _ratio(key, head))
        columns += [_verdict(of)] * (key == of)
    return columns


def _bare(key: str, head: str) -> Column:
    return Column(head, lambda figures: number(figures[key], 2))


def _outcome() -> list[Column]:
    return [
        Column("agree", lambda figures: number(figures["agreement"], 2)),
        Column("quality", lambda figures: change(figures["quality_change"], 3)),
    ]


def _rates(name: str) -> list[Column]:
    return [
        Column("A tok/s", lambda figures: _rate(figures["first_tokens_per_second"])),
        Column(f"{name} tok/s", lambda figures: _rate(figures["second_tokens_per_second"])),
        _bare("rate_ratio", "total"),
    ]


def _rate(value: float | None) -> str:
    return number(value, 0 if value is not None and value >= 100 else 1)


def _layouts(name: str, of: str) -> list[list[Column]]:
    """What columns a table can have, the most first."""
    wide, narrow = _judged(of, narrow=False), _judged(of, narrow=True)
    return [[*_rates(name), *wide, *_outcome()], [*wide, *_outcome()], [*narrow, *_outcome()], narrow]


def _tables(pair: Figures, of: str, width: int) -> Iterator[Table]:
    """A table for each part, all with the same columns: as many as there is room for beside the cells' names."""
    rows = [figures for cells in pair["parts"].values() for figures in cells.values()]
    longest = max(len(printable(pair["titles"][label])) for label in pair["parts"]["overall"])
    layouts = [
        [(column, max(len(column.head), *(len(column.cell(row)) for row in rows))) for column in columns]
        for columns in _layouts(pair["name"], of)
    ]
    rooms = [width - sum(size + 2 for _, size in columns) for columns in layouts]
    wanted = min(longest, LONGEST)
    place = next((place for place, room in enumerate(rooms) if room >= wanted), len(rooms) - 1)
    names = max(6, min(longest, rooms[place]))
    for count, (part, cells) in enumerate(pair["parts"].items()):
        yield _table(pair["titles"], part, cells, layouts[place], names, header=count == 0)


def _table(
    titles: dict[str, str],
    part: str,
    cells: dict[str, Figures],
    columns: Sequence[tuple[Column, int]],
    names: int,
    *,
    header: bool,
) -> Table:
    block = part_table(part, header=header)
    block.add_column("", width=names)
    for column, size in columns:
        block.add_column(Text(column.head), width=size, justify="right", no_wrap=True)
    for label, figures in cells.items():
        values = [column.cell(figures) for column, _ in columns]
        block.add_row(Text(printable(titles[label])), *(Text(value, STYLES.get(value, "")) for value in values))
    return block
