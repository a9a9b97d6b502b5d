"""``draftwise compare``: how runs differ from a first one, for people and for CI."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from draftwise.errors import DraftwiseError
from draftwise.options import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from draftwise.analysis.compare import CellRatio
    from draftwise.analysis.run import RunData

SLOWER = 3
"""The exit code for a cell that became too slow."""

MOST_LINES = 3
"""So many differences of a kind are named where runs are refused."""


def _limit(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    wanted = None if value is None else number(0, 10, above=True)(value)
    if wanted is not None:
        raise click.BadParameter(f"must be {wanted}, not {value}", ctx, param)
    return value


@click.command("compare")
@click.argument("runs", nargs=-1, metavar="A B [C]...")
@click.option(
    "--fail-below",
    type=float,
    metavar="X",
    callback=_limit,
    help="Exit with 3 where a cell, over all subtasks, has less than X times the speed that it has in A and the "
    "interval shows it slower; 0.95 allows for 5 %.",
)
@click.option(
    "--of",
    type=click.Choice(["speed", "speedup"]),
    default="speed",
    show_default=True,
    help="What is judged: the speeds, or each run's speed-ups over its own plain decoding, which a machine that was "
    "slower throughout leaves alone, and a slower plain decoding flatters.",
)
@click.option(
    "--force", is_flag=True, help="Compare runs with other hardware, models or data too, and say what differs."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "md"]),
    default="text",
    show_default=True,
    help="How to print the comparison.",
)
def command(runs: tuple[str, ...], fail_below: float | None, of: str, force: bool, form: str) -> None:
    """Compare runs with the first of them, A, the reference: prompt by prompt, with intervals.

    A, B and C are directories that 'draftwise bench' wrote. Each cell that A and another run share gets the ratio of
    its speeds, of its speed-ups over plain decoding, how many answers are the same, and the change in quality. Exit
    codes: 0 done, 2 runs that can't be compared, 3 too slow by --fail-below.
    """
    from draftwise.analysis.compare import compare_runs, slow_cells, undecided_cells

    if len(runs) < 2:
        raise click.UsageError(
            f"give the directories of two runs or more, not {len(runs)}", click.get_current_context()
        )
    loaded = [_load(run) for run in runs]
    if not force:
        _check_alike(loaded)
    comparison = compare_runs(loaded)
    slow = [] if fail_below is None else slow_cells(comparison, of, fail_below)
    undecided = [] if fail_below is None else undecided_cells(comparison, of, fail_below)
    _show(comparison, of, form)
    if undecided:
        _tell(f"{of} below {fail_below:g} of A's can't be ruled out, more sessions or prompts would tell", undecided)
    if slow:
        _tell(f"{of} below {fail_below:g} of A's", slow)
        sys.exit(SLOWER)


def _tell(what: str, cells: Sequence[CellRatio]) -> None:
    """A line on stderr that names the cells, with their ratios."""
    from draftwise.report.numbers import interval
    from draftwise.report.plain import printable

    said = [
        f"{cell.title} in {cell.run} {interval({'': cell.ratio, '_low': cell.low, '_high': cell.high}, '', 3)}"
        for cell in cells
    ]
    click.echo(printable(f"draftwise: {what}: {'; '.join(said)}"), err=True)


def _load(run: str) -> RunData:
    """A run by its directory.

    Raises:
        DraftwiseError: it holds an experiment of several runs, or can't be read.
    """
    from draftwise.analysis.run import load_run
    from draftwise.bench.store import RUN, find_experiment

    path = Path(run)
    rows = [] if (path / RUN).exists() else find_experiment(path)
    if rows:
        names = ", ".join(str(path / str(row.get("directory", "?"))) for row in rows)
        raise DraftwiseError(f"{path} holds an experiment of {len(rows)} runs; name one of them: {names}")
    return load_run(path)


def _check_alike(runs: Sequence[RunData]) -> None:
    """Refuse runs of other hardware, models or data than the first's.

    Raises:
        DraftwiseError: naming what differs.
    """
    from draftwise.analysis.compare import differences, run_name

    for place, run in enumerate(runs[1:], 1):
        found = differences(runs[0], run, run_name(place))["facts"]
        if found:
            said = ". ".join(f"{kind}: {_some(lines)}" for kind, lines in found.items())
            raise DraftwiseError(
                f"{run_name(place)} ({run.directory}) can't be compared with {run_name(0)} ({runs[0].directory}). "
                f"{said}. --force compares them nevertheless"
            )


def _some(lines: Sequence[str]) -> str:
    more = len(lines) - MOST_LINES
    return "; ".join(lines[:MOST_LINES]) + (f"; and {more} more" if more > 0 else "")


def _show(comparison: dict[str, Any], of: str, form: str) -> None:
    if form == "json":
        from draftwise.bench.files import to_json

        click.echo(to_json(comparison), nl=False)
        return
    from rich.console import Console

    from draftwise.report.compare import comparison_markdown, report_comparison

    if form == "md":
        click.echo(comparison_markdown(comparison, of), nl=False)
    else:
        report_comparison(comparison, of, Console())
