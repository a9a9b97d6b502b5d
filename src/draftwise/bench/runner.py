"""Runs a bench from its settings to its last sample, or goes on with one that was stopped or killed.

Everything is checked before anything is written, and written before anything is measured. Then come the check pass, the
cost of passes and the sessions: the first in this process, every later one in a fresh process.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from draftwise.bench.cells import make_cells
from draftwise.bench.environment import describe_environment, describe_prompts
from draftwise.bench.inputs import answers_needed, make_inputs, warm_up_calls
from draftwise.bench.interrupt import StopRequest
from draftwise.bench.measure import Bench, planned_samples
from draftwise.bench.models import Models
from draftwise.bench.sameness import fact_differences, setting_differences
from draftwise.bench.sessions import take_session
from draftwise.bench.settings import BenchSettings
from draftwise.bench.store import RunStore, check_directory, count_samples, holds_run, last_session, read_run, write_end
from draftwise.bench.threads import compute_threads
from draftwise.bench.ticker import Progress, Ticker
from draftwise.bench.told import prompt_notes
from draftwise.errors import DraftwiseError
from draftwise.tasks import Suite, suite_sha256

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RunResult:
    """What became of a run: how many samples it has, and whether it came to its end."""

    directory: Path
    samples: int
    planned: int
    stopped_by: str | None

    @property
    def complete(self) -> bool:
        """Whether every planned sample was taken."""
        return self.samples == self.planned


def run_bench(
    load: Callable[[], Models],
    settings: BenchSettings,
    suite: Suite,
    directory: str | Path,
    *,
    release: Callable[[], None] = gc.collect,
    facts: Mapping[str, Any] | None = None,
    tell: Tell = lambda line: None,
    progress: Progress | None = None,
    clock: Callable[[], int] = perf_counter_ns,
) -> RunResult:
    """Measure every cell of the settings on every prompt and write the run to ``directory``.

    A run of the same settings that is there already goes on where it was. Ctrl-C or SIGTERM ends the run after the
    current sample; its records stay.

    Args:
        load: gives the models of ``settings``; not called for a run that is complete.
        settings: what to measure.
        suite: the prompts.
        directory: where the run's files go.
        release: lets go of what ``load`` keeps, before a session in a fresh process loads its own.
        facts: more for the environment that is written down, such as the experiment that the run belongs to.
        tell: called before the warm-up with the line on memory, and one for prompts that are left out, cut, or too long
            for a draft; not where the run is refused.
        progress: called between samples.
        clock: nanoseconds; for tests.

    Raises:
        StoppedEarlyError: a stop was requested before there was anything to keep.
        DraftwiseError: the directory can't be used, holds a run of other settings, models, data or hardware, or no
            prompt can be decoded (nothing is written then); or the disk is full.
    """
    path = check_directory(Path(directory))
    resumable = check_resumable(path, settings, suite)
    with StopRequest() as stop:
        ticker = Ticker(progress)
        if not (resumable and _missing(path) == 0):
            with compute_threads(settings) as cores:
                more = dict(facts or {}) | {"pinned": cores or False}
                _first_session(load(), settings, suite, path, more, stop, ticker, tell, clock)
            release()
            for session in range(1, settings.sessions):
                if not stop.requested:
                    take_session(path, session, stop, ticker)
        return _end(path, stop)


def check_resumable(path: Path, settings: BenchSettings, suite: Suite) -> bool:
    """Whether a directory holds a run of these settings and prompts; False where it holds none.

    Raises:
        DraftwiseError: it holds another one, and this is how they differ.
    """
    if not holds_run(path):
        return False
    header = read_run(path)
    found = setting_differences(header["settings"], settings.to_record())
    if header["environment"]["sha256"]["suite"] != suite_sha256(suite.prompts):
        found.append("the prompts of the suite have changed")
    _refuse(path, found)
    return True


def _refuse(path: Path, differences: list[str]) -> None:
    if differences:
        raise DraftwiseError(
            f"{path} holds another run: {'; '.join(differences)}; give the same settings to go on with it, or another "
            "output directory"
        )


def _first_session(
    models: Models,
    settings: BenchSettings,
    suite: Suite,
    path: Path,
    facts: Mapping[str, Any],
    stop: StopRequest,
    ticker: Ticker,
    tell: Tell,
    clock: Callable[[], int],
) -> None:
    """Open the run or make it, look closely at every answer, and take the first session."""
    environment = describe_environment(models, settings, suite) | dict(facts)
    if holds_run(path):
        store = RunStore.open(path)
        differences = fact_differences(store.header["environment"], environment)
        _refuse(path, [line for lines in differences.values() for line in lines])
        tell(f"going on with {path}: {store.header['planned'] - _missing(path)} of {store.header['planned']} samples")
    else:
        store = _create(models, settings, suite, path, environment, stop, ticker)
    written = store.header["environment"]
    for line in (environment["memory"], *prompt_notes(written)):
        tell(line)
    ticker.total = ticker.done + _units(store, settings)
    bench = Bench(models, settings, store, stop, ticker, clock)
    bench.look()
    bench.time(0)


def _units(store: RunStore, settings: BenchSettings) -> int:
    """Warm-ups of every session, checks and samples: what is still to be done at most."""
    cells = make_cells(settings)
    warm_ups = len(warm_up_calls(cells, settings, store.inputs)) * settings.sessions
    return warm_ups + len(store.inputs) * len(cells) + _missing(store.directory)


def _create(
    models: Models,
    settings: BenchSettings,
    suite: Suite,
    path: Path,
    environment: dict[str, Any],
    stop: StopRequest,
    ticker: Ticker,
) -> RunStore:
    """Encode the prompts and write what is known before the first sample.

    Raises:
        DraftwiseError: no prompt can be decoded, or a stop was requested.
    """

    def tick(label: str) -> None:
        ticker(label)
        stop.check()

    ticker.total = answers_needed(suite.prompts) + planned_samples(suite.prompts, settings)
    inputs = make_inputs(models.first, settings, suite.prompts, tick)
    prompts = tuple(prompt for prompt in suite.prompts if (prompt.id, 0) in inputs.ids)
    stop.check()
    environment |= describe_prompts(models, settings, prompts, inputs)
    environment |= {"warm_ups": len(warm_up_calls(make_cells(settings), settings, inputs.ids))}
    header = {
        "settings": settings.to_record(),
        "environment": environment,
        "planned": planned_samples(prompts, settings),
    }
    return RunStore.create(path, header, prompts, inputs.ids)


def _missing(path: Path) -> int:
    return int(read_run(path)["planned"]) - count_samples(path)


def _end(path: Path, stop: StopRequest) -> RunResult:
    planned, samples = int(read_run(path)["planned"]), count_samples(path)
    end = {"complete": samples == planned, "samples": samples, "planned": planned, "stopped_by": stop.signal}
    write_end(path, end | {"environment": last_session(path)})
    return RunResult(path, samples, planned, stop.signal)
