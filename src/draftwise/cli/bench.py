"""``draftwise bench``: measure the methods against plain decoding, print the table and write the run."""

from __future__ import annotations

import signal
import sys
from typing import Any

import click

from draftwise.bench.settings import BenchSettings
from draftwise.cli.options import build, settings_options
from draftwise.cli.progress import shown_progress
from draftwise.options import DecodingOptions


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

    from draftwise.bench.runner import run_bench
    from draftwise.engine import Engine

    engine = Engine.load(settings.target, settings.draft, dtype=settings.dtype, device=settings.device)
    with shown_progress() as progress:
        result = run_bench(engine, settings, directory, progress=progress)
    if result.stopped_by is not None:
        sys.exit(128 + signal.Signals[result.stopped_by])
