"""``draftwise bench``: measure the methods against plain decoding, print the table and write the run."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from draftwise.bench.experiment import PlannedRun, expand, read_experiment
from draftwise.bench.settings import MODEL_FIELDS, BenchSettings
from draftwise.cli.options import FILE_KEY, experiment_values, keys_of, settings_options
from draftwise.cli.progress import shown_progress
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions

if TYPE_CHECKING:
    from rich.console import Console

    from draftwise.bench.models import FoundModels, Models
    from draftwise.bench.runner import RunResult
    from draftwise.tasks import Suite

EXPERIMENT = "experiment"


def _read_file(ctx: click.Context, param: click.Parameter, path: str | None) -> str | None:
    """Make a file's values the defaults of the options that follow, which the command line overrides."""
    if path is not None and not ctx.resilient_parsing:
        values = read_experiment(path, keys_of(ctx.command))
        try:
            ctx.default_map = experiment_values(values, BenchSettings, DecodingOptions)
        except DraftwiseError as error:
            raise DraftwiseError(f"{path}: {error}") from None
        ctx.meta[FILE_KEY] = path
    return path


@click.command("bench")
@click.argument(EXPERIMENT, required=False, is_eager=True, callback=_read_file, metavar="[EXPERIMENT.toml]")
@settings_options(BenchSettings, lists=True)
@settings_options(DecodingOptions, lists=True)
def command(experiment: str | None, **values: Any) -> None:
    """Measure the methods against plain decoding, prompt by prompt, and write the run to a directory.

    Without options: the seed experiment's settings on the pair of models that ships with draftwise. Options that end
    in [,…] take several values with commas: those that only some methods read, and --draft, give these methods several
    rows in one run; the others make a run for each value. EXPERIMENT.toml holds options by their names
    (max_new_tokens = 30, gamma = [2, 4]); the command line overrides it.
    """
    from draftwise.bench.runner import check_resumable
    from draftwise.bench.store import check_directory, new_directory
    from draftwise.tasks import load_suite

    runs = expand(values)
    settings = runs[0].settings  # no option that says where prompts come from takes several values
    root = check_directory(new_directory() if settings.output is None else Path(settings.output))
    suite = load_suite(settings.source, settings.subtasks, settings.limit)
    if len(runs) > 1:
        _check_experiment(root, runs)
    for run in runs:
        check_resumable(check_directory(root / run.folder), run.settings, suite)
    facts = {} if experiment is None else {"experiment": {"file": experiment, "text": _text_of(experiment)}}
    sys.exit(_run_all(runs, suite, root, facts))


def _text_of(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _run_all(runs: list[PlannedRun], suite: Suite, root: Path, facts: Mapping[str, Any]) -> int:
    """Measure and report run after run; the exit code.

    All models are found before the first run begins, so that no wrong name ends an experiment half way.
    """
    from rich.console import Console

    from draftwise.bench.models import find_models
    from draftwise.bench.store import write_experiment
    from draftwise.report import report_experiment

    found = [find_models(run.settings, suite.prompts) for run in runs]
    console, shelf, done = Console(), _Shelf(), list[tuple[str, dict[str, Any]]]()
    stopped_by = None
    try:
        for run, models in zip(runs, found, strict=True):
            if run.label:
                click.echo(f"draftwise: run {run.label}", err=True)
            summary, stopped_by = _run(run, shelf, models, suite, root, facts, console)
            if summary is not None:
                done.append((run.label, summary))
            if len(runs) > 1 and len(done) == 1:
                write_experiment(root, {"runs": _rows(runs), **facts})
            if stopped_by is not None:
                break
    finally:  # what is measured is shown, whatever became of the runs that were to follow
        if len(done) > 1:
            report_experiment(done, console)
    # A stopped run exits as a program that the signal ended would.
    return 0 if stopped_by is None else 128 + signal.Signals[stopped_by]


class _Shelf:
    """Keeps the models of the last run for one that uses the same, and lets go of them before it loads others."""

    def __init__(self) -> None:
        self._kept: tuple[object, Models] | None = None

    def load(self, found: FoundModels) -> Models:
        """The models, loaded now or before."""
        key = ([getattr(found.settings, name) for name in MODEL_FIELDS], found.drafts)
        if self._kept is None or self._kept[0] != key:
            self._kept = None
            gc.collect()
            self._kept = (key, found.load())
        models = self._kept[1]
        return replace(models, facts={**models.facts, "memory": found.memory})

    def clear(self) -> None:
        """Let go of the models."""
        self._kept = None
        gc.collect()


def _run(
    run: PlannedRun,
    shelf: _Shelf,
    found: FoundModels,
    suite: Suite,
    root: Path,
    facts: Mapping[str, Any],
    console: Console,
) -> tuple[dict[str, Any] | None, str | None]:
    """Measure and report one run: its summary, if it left one, and the signal that ended it, if one did."""
    from draftwise.bench.interrupt import StoppedEarlyError, StopRequest
    from draftwise.bench.runner import run_bench

    try:
        with shown_progress() as progress:
            result = run_bench(
                lambda: shelf.load(found),
                run.settings,
                suite,
                root / run.folder,
                release=shelf.clear if run.settings.sessions > 1 else lambda: None,
                facts=facts,
                tell=_tell,
                progress=progress,
            )
    except StoppedEarlyError as stopped:
        click.echo(f"draftwise: {stopped}", err=True)
        return None, stopped.signal
    with StopRequest() as stop:
        summary = _report(result, run.label, root, console)
    return summary, result.stopped_by or stop.signal


def _report(result: RunResult, label: str, root: Path, console: Console) -> dict[str, Any]:
    """Print a run, and write its summary and its page."""
    from draftwise.analysis.run import load_run
    from draftwise.analysis.summary import summarize, write_summary
    from draftwise.report import report_run
    from draftwise.report.page import write_page

    data = load_run(result.directory)
    summary = summarize(data)
    write_summary(result.directory, summary)
    page = write_page(result.directory, data, summary)
    if label:
        console.rule(label, characters="─", align="left")
    report_run(summary, console, page)
    click.echo(_closing(result, root), err=True)
    return summary


def _rows(runs: list[PlannedRun]) -> list[dict[str, Any]]:
    return [{"label": run.label, "directory": run.folder, "settings": run.settings.to_record()} for run in runs]


def _check_experiment(root: Path, runs: list[PlannedRun]) -> None:
    """Refuse a directory that holds an experiment of other runs, or a single run.

    Raises:
        DraftwiseError: naming the runs that are there.
    """
    from draftwise.bench.store import RUN, find_experiment

    if (root / RUN).exists():
        raise DraftwiseError(f"{root} holds a single run, and this makes {len(runs)}; give another output directory")
    there = [row["label"] for row in find_experiment(root)]
    if there and there != [run.label for run in runs]:
        raise DraftwiseError(
            f"{root} holds another experiment, of the runs {', '.join(there)}; give another output directory"
        )


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _closing(result: RunResult, root: Path) -> str:
    if result.stopped_by is None:
        return f"draftwise: written to {result.directory}"
    taken = f"{result.samples} of {result.planned} samples"
    return (
        f"draftwise: stopped by {result.stopped_by} after {taken}; a valid, shorter run is in {result.directory}; "
        f"the same command with --output {root} goes on with it"
    )
