"""``draftwise bench``: measure the methods against plain decoding, print the table and write the run."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from draftwise.bench.settings import BenchSettings
from draftwise.cli.options import build, settings_options
from draftwise.cli.progress import shown_progress
from draftwise.options import DecodingOptions

if TYPE_CHECKING:
    from draftwise.bench.runner import RunResult


@click.command("bench")
@settings_options(BenchSettings)
@settings_options(DecodingOptions)
def command(**values: Any) -> None:
    """Measure the methods against plain decoding, prompt by prompt, and write the run to a directory.

    Without options: the seed experiment's settings on the pair of models that ships with draftwise.
    """
    from draftwise.bench.records import prepare_directory
    from draftwise.tasks import load_suite

    settings = build(BenchSettings, values, decoding=build(DecodingOptions, values))
    directory = prepare_directory(settings.output)
    load_suite(settings.suite, settings.subtasks, settings.limit)

    from draftwise.analysis.summary import summarize, write_summary
    from draftwise.bench.interrupt import StoppedEarlyError
    from draftwise.bench.runner import run_bench
    from draftwise.engine import Engine

    engine = Engine.load(settings.target, settings.draft, dtype=settings.dtype, device=settings.device)
    try:
        with shown_progress() as progress:
            result = run_bench(engine, settings, directory, progress=progress)
    except StoppedEarlyError as stopped:
        click.echo(f"draftwise: {stopped}", err=True)
        sys.exit(_exit_code(stopped.signal))
    summary = summarize(result.records, result.prompts, settings, result.environment)
    write_summary(directory, summary)
    _report(summary)
    click.echo(_closing(result), err=True)
    if result.stopped_by is not None:
        sys.exit(_exit_code(result.stopped_by))


def _exit_code(signal_name: str) -> int:
    """A stopped run exits as a program that the signal ended would."""
    return 128 + signal.Signals[signal_name]


def _report(summary: dict[str, Any]) -> None:
    from rich.console import Console

    from draftwise.report import report_run

    report_run(summary, Console())


def _closing(result: RunResult) -> str:
    where = f"{result.directory / 'records.jsonl'} and {result.directory / 'summary.json'}"
    if result.stopped_by is None:
        return f"draftwise: written to {where}"
    taken = f"{len(result.records)} of {result.planned} samples"
    return f"draftwise: stopped by {result.stopped_by} after {taken}; a valid, shorter run is in {where}"
