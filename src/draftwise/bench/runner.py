"""Runs a bench from its settings to its last sample, or goes on with one that was stopped or killed.

Everything is checked before anything is written, and written before anything is measured. Then come the check pass, the
cost of passes and the sessions: the first in this process, every later one in a fresh process.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from draftwise.bench import fingerprint
from draftwise.bench.cells import make_cells
from draftwise.bench.environment import describe_environment, describe_prompts
from draftwise.bench.files import DirectoryLock
from draftwise.bench.inputs import answers_needed, make_inputs, warm_up_calls
from draftwise.bench.interrupt import StopRequest
from draftwise.bench.measure import Bench, planned_samples
from draftwise.bench.models import Models
from draftwise.bench.records import CHECKS, RECORDS
from draftwise.bench.sameness import fact_differences, setting_differences, software_differences
from draftwise.bench.sessions import take_session
from draftwise.bench.settings import BenchSettings
from draftwise.bench.store import (
    COSTS,
    RunStore,
    check_directory,
    count_lines,
    holds_run,
    last_session,
    make_directory,
    read_run,
    write_end,
)
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
    release: Callable[[], object] = gc.collect,
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
        release: lets go of what ``load`` keeps; called before a session in a fresh process loads its own.
        facts: more for the environment that is written down, such as the experiment that the run belongs to.
        tell: called before the warm-up with the line on memory, and one for prompts that are left out, cut, or too long
            for a draft; not where the run is refused.
        progress: called between samples.
        clock: nanoseconds; for tests.

    Raises:
        StoppedEarlyError: a stop was requested before there was anything to keep.
        DraftwiseError: the directory can't be used, another process measures there, it holds a run of other settings,
            models, data or hardware, or no prompt can be decoded (nothing is written then); or the disk is full.
    """
    path = check_directory(Path(directory))
    with DirectoryLock(path) as lock:
        if path.exists():
            lock.take()
        resumable = check_resumable(path, settings, suite)
        with StopRequest() as stop:
            ticker = Ticker(progress)
            if not (resumable and _missing(path) == 0):
                own = dict(facts or {}) | {"cores": fingerprint.available_cores()}  # a pinned thread sees its own alone
                with compute_threads(settings) as cores:
                    job = _Job(settings, suite, path, lock, stop, ticker, tell)
                    job.begin(load(), own | {"pinned": cores or False}, clock)
                if settings.sessions > 1:
                    _let_go(release)
                for session in range(1, settings.sessions):
                    if not stop.requested:
                        take_session(path, session, stop, ticker)
            return _end(path, stop)


def _let_go(release: Callable[[], object]) -> None:
    """Give the memory of the models back, also that which torch keeps of a GPU's."""
    release()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def check_resumable(path: Path, settings: BenchSettings, suite: Suite) -> bool:
    """Whether a directory holds a run of these settings and prompts; False where it holds none.

    Raises:
        DraftwiseError: it holds another one, and this is how they differ.
    """
    if not holds_run(path):
        return False
    header = read_run(path)
    found = setting_differences(header["settings"], settings.to_record())
    if header["environment"].get("sha256", {}).get("suite") != suite_sha256(suite.prompts):
        found.append("the prompts of the suite have changed")
    _refuse(path, found)
    return True


def _refuse(path: Path, differences: list[str]) -> None:
    if differences:
        raise DraftwiseError(
            f"{path} holds another run: {'; '.join(differences)}; give the same settings to go on with it, or another "
            "output directory"
        )


@dataclass(frozen=True, slots=True)
class _Job:
    """What the first process of a run has to do."""

    settings: BenchSettings
    suite: Suite
    path: Path
    lock: DirectoryLock
    stop: StopRequest
    ticker: Ticker
    tell: Tell

    def begin(self, models: Models, facts: Mapping[str, Any], clock: Callable[[], int]) -> None:
        """Open the run or make it, look closely at every answer, and take the first session."""
        environment = describe_environment(models, self.settings, self.suite) | dict(facts)
        there = holds_run(self.path)
        store = self._open(environment) if there else self._create(models, environment)
        for line in (environment["memory"], *prompt_notes(store.header["environment"])):
            self.tell(line)
        self.ticker.total = self.ticker.done + self._units(store)
        bench = Bench(models, self.settings, store, self.stop, self.ticker, clock)
        bench.look()
        bench.time(0)

    def _open(self, environment: dict[str, Any]) -> RunStore:
        """The run that is there, if this is the machine and these are the models that it began with.

        Raises:
            DraftwiseError: they are not.
        """
        store = RunStore.open(self.path)
        began, planned = store.header["environment"], store.header["planned"]
        _refuse(self.path, [line for lines in fact_differences(began, environment).values() for line in lines])
        self.tell(f"going on with {self.path}: {planned - _missing(self.path)} of {planned} samples are there")
        for line in software_differences(began, environment):
            self.tell(f"since this run began, {line}")
        return store

    def _create(self, models: Models, environment: dict[str, Any]) -> RunStore:
        """Encode the prompts and write what is known before the first sample.

        Raises:
            DraftwiseError: no prompt can be decoded, a stop was requested, or another process made a run there.
        """
        settings, asked = self.settings, self.suite.prompts
        self.ticker.total = answers_needed(asked) + planned_samples(asked, settings)
        inputs = make_inputs(models.first, settings, asked, self._tick_or_stop)
        prompts = tuple(prompt for prompt in asked if (prompt.id, 0) in inputs.ids)
        self.stop.check()
        environment |= describe_prompts(models, settings, prompts, inputs)
        environment |= {"warm_ups": len(warm_up_calls(make_cells(settings), settings, inputs.ids))}
        header = {
            "settings": settings.to_record(),
            "environment": environment,
            "planned": planned_samples(prompts, settings),
        }
        self._take_place()
        return RunStore.create(self.path, header, prompts, inputs.ids)

    def _tick_or_stop(self, label: str) -> None:
        self.ticker(label)
        self.stop.check()

    def _take_place(self) -> None:
        """Make the directory, unless another process was quicker."""
        if self.lock.held:
            return
        make_directory(self.path)
        self.lock.take()
        if holds_run(self.path):
            raise DraftwiseError(
                f"another process has begun a run in {self.path}; run the same command again to go on with it"
            )

    def _units(self, store: RunStore) -> int:
        """The warm-ups of every process, checks and samples that are still to be done."""
        settings, cells = self.settings, make_cells(self.settings)
        checks = len(store.inputs) * len(cells) - count_lines(self.path / CHECKS)
        missing, each = _missing(self.path), planned_samples(store.prompts, settings) // settings.sessions
        later = min(settings.sessions - 1, -(-missing // each))
        first = checks > 0 or not (self.path / COSTS).exists() or missing > later * each
        return (first + later) * len(warm_up_calls(cells, settings, store.inputs)) + max(checks, 0) + missing


def _missing(path: Path) -> int:
    return int(read_run(path)["planned"]) - count_lines(path / RECORDS)


def _end(path: Path, stop: StopRequest) -> RunResult:
    planned, samples = int(read_run(path)["planned"]), count_lines(path / RECORDS)
    end = {"complete": samples == planned, "samples": samples, "planned": planned, "stopped_by": stop.signal}
    write_end(path, end | {"environment": last_session(path)})
    return RunResult(path, samples, planned, stop.signal)
