"""``draftwise report``: show a run again, or write it for people and other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from draftwise.errors import DraftwiseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from draftwise.analysis.run import RunData
    from draftwise.report.formats import Place

SUFFIXES = {"html": ".html", "md": ".md", "csv": ".csv", "json": ".json", "parquet": ".parquet", "text": ".txt"}
"""The formats, and what the name of a file in each ends with."""

STDOUT = "-"


@click.command("report", short_help="Show a run again, or write it in another format.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(list(SUFFIXES)), help="html if --output's name tells no other.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to write it, - for stdout; if left out, html and parquet go to DIR/report.*.",
)
@click.option(
    "--rows",
    type=click.Choice(["figures", "samples"]),
    default="figures",
    show_default=True,
    help="What csv and parquet hold a row for: each part and method, or each timed sample.",
)
def command(directory: Path, form: str | None, output: str | None, rows: str) -> None:
    """Report the run in DIR, or every run of the experiment there, from its records: a killed run can be reported too.

    html writes one file that shows everything and prints the tables; md is the same for GitHub; csv, json and parquet
    are for other programs; text is the result lines alone. In csv a text that a spreadsheet would take for a formula
    has an apostrophe before it; numbers are left as they are.
    """
    from draftwise.report.formats import find_runs

    form = form or _form_of(output)
    places, planned = find_runs(directory)
    if form == "html":
        _report_pages(places, output, rows)
    else:
        _write(form, rows, places, directory, output)
    for label in planned:
        click.echo(f"draftwise: the run {label} has not begun", err=True)


def _form_of(output: str | None) -> str:
    """The format that a file's name tells."""
    suffix = "" if output is None else Path(output).suffix.lower()
    return next((form for form, known in SUFFIXES.items() if known == suffix), "html")


def _report_pages(places: Sequence[Place], output: str | None, rows: str) -> None:
    """Print every run and write its page."""
    from rich.console import Console

    from draftwise.report import report_experiment, report_run

    if rows != "figures":
        raise DraftwiseError(f"--rows {rows} goes with --format csv or parquet, not html")
    if output is not None and len(places) > 1:
        raise DraftwiseError(f"--output names one file, and this makes {len(places)} pages; leave it out")
    console, done = Console(stderr=output == STDOUT), []
    for place in places:
        run, summary = place.load()
        if place.label:
            console.rule(place.label, characters="─", align="left")
        page = _write_page(place, run, summary, output)
        report_run(summary, console, page)
        done.append((place.label, summary))
    if len(done) > 1:
        report_experiment(done, console)


def _write_page(place: Place, run: RunData, summary: dict[str, Any], output: str | None) -> Path | None:
    """Write a run's page, and say where if it is a file."""
    from draftwise.report.formats import output_file
    from draftwise.report.page import build_page, write_page

    if output is None:
        return write_page(place.directory, run, summary)
    page = build_page(run, summary).encode("utf-8", "backslashreplace")
    if output == STDOUT:
        sys.stdout.buffer.write(page)
        sys.stdout.buffer.flush()  # now, so that a reader that went away is noticed here
        return None
    with output_file(Path(output), [place]) as file:
        file.write(page)
    return Path(output)


def _write(form: str, rows: str, places: Sequence[Place], directory: Path, output: str | None) -> None:
    """Write runs in a format that is no page, to stdout or a file."""
    from draftwise.report.formats import output_file, write_format

    if form == "parquet" and output is None:
        output = str(directory / ("report.parquet" if rows == "figures" else "samples.parquet"))
    if output is None or output == STDOUT:
        if form == "parquet" and sys.stdout.isatty():
            raise DraftwiseError("Parquet is no text for a terminal; give --output FILE")
        write_format(form, rows, places, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    with output_file(Path(output), places) as file:
        write_format(form, rows, places, file)
    click.echo(f"draftwise: written to {output}", err=True)
