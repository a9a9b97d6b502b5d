"""Runs a bench: everything is checked and warmed up first, then samples are taken one by one and written down at once.

The clock is read right before and right after ``Engine.generate``; the engine synchronises the device at both ends.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from draftwise.bench.cells import Cell, make_cells
from draftwise.bench.environment import describe_end, describe_environment, describe_prompts
from draftwise.bench.inputs import WarmUp, answers_needed, call_options, make_inputs, warm_up_calls
from draftwise.bench.interrupt import StopRequest
from draftwise.bench.models import Models
from draftwise.bench.plan import Step, Task, make_plan, tasks_of
from draftwise.bench.records import Record, RoundCounts, RunWriter, prepare_directory, write_end
from draftwise.bench.settings import BenchSettings
from draftwise.bench.told import prompt_notes
from draftwise.tasks import Prompt, Suite

Progress = Callable[[int, int, str], None]
"""Called between samples, never inside one, with the units done, their total and what is being done."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run left: its records, and whether it came to its end."""

    directory: Path
    settings: BenchSettings
    prompts: tuple[Prompt, ...]
    environment: dict[str, Any]
    records: tuple[Record, ...]
    planned: int
    stopped_by: str | None

    @property
    def complete(self) -> bool:
        """Whether every planned sample was taken."""
        return len(self.records) == self.planned


class _Ticker:
    """Counts the units of work of a whole run and tells the caller."""

    def __init__(self, total: int, progress: Progress | None, stop: StopRequest) -> None:
        self.done, self.total, self.progress, self.stop = 0, total, progress, stop

    def __call__(self, label: str) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total, label)


def run_bench(
    models: Models,
    settings: BenchSettings,
    suite: Suite,
    directory: str | Path,
    *,
    facts: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
    clock: Callable[[], int] = perf_counter_ns,
) -> RunResult:
    """Measure every cell of the settings on every prompt and write the run to ``directory``.

    Ctrl-C or SIGTERM ends the run after the current sample; its records stay.

    Args:
        models: those of ``settings``, loaded.
        settings: what to measure.
        suite: the prompts.
        directory: where the run's files go; must hold no other run.
        facts: more for the environment that is written down, such as the experiment that the run belongs to.
        tell: called before the warm-up with the line on memory, and one for prompts that are left out, cut, or too long
            for a draft; not where the run is refused.
        progress: called between samples.
        clock: nanoseconds; for tests.

    Raises:
        DraftwiseError: the directory can't be used or no prompt can (nothing is written then), or the disk is full.
    """
    path = prepare_directory(directory)
    with StopRequest() as stop, _threads(settings.threads):
        expected = answers_needed(suite.prompts) + planned_samples(suite.prompts, settings)
        ticker = _Ticker(expected, progress, stop)
        ready = _make_ready(models, settings, suite, ticker)
        environment = ready.environment | dict(facts or {})
        for line in (environment["memory"], *prompt_notes(environment)):
            tell(line)
        planned = planned_samples(ready.prompts, settings)
        header = {"settings": settings.to_record(), "environment": environment, "planned": planned}
        bench = _Bench(models, settings, ready, {cell.label: cell for cell in make_cells(settings)}, clock)
        with RunWriter(path, header, ready.prompts) as writer, _quiet_collector():
            bench.warm_up(ticker)
            records = bench.measure(writer, ticker)
        environment["after"] = describe_end(models.first)
        end = {"complete": len(records) == planned, "samples": len(records), "stopped_by": stop.signal}
        write_end(path, end | {"planned": planned, "environment": environment["after"]})
    return RunResult(path, settings, ready.prompts, environment, tuple(records), planned, stop.signal)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A run that only has to be warmed up and measured."""

    environment: dict[str, Any]
    prompts: tuple[Prompt, ...]  # without those that were left out
    inputs: dict[Task, list[int]]
    warm_ups: list[WarmUp]


def _make_ready(models: Models, settings: BenchSettings, suite: Suite, ticker: _Ticker) -> _Ready:
    """Describe the machine, encode the prompts and plan the warm-up.

    Raises:
        DraftwiseError: no prompt can be decoded, or a stop was requested.
    """

    def tick(label: str) -> None:
        ticker(label)
        ticker.stop.check()

    environment = describe_environment(models, settings, suite)
    inputs = make_inputs(models.first, settings, suite.prompts, tick)
    prompts = tuple(prompt for prompt in suite.prompts if (prompt.id, 0) in inputs.ids)
    warm_ups = warm_up_calls(make_cells(settings), settings, inputs.ids)
    ticker.total = ticker.done + len(warm_ups) + planned_samples(prompts, settings)
    ticker.stop.check()
    environment |= describe_prompts(models, settings, prompts, inputs) | {"warm_ups": len(warm_ups)}
    return _Ready(environment, prompts, inputs.ids, warm_ups)


def planned_samples(prompts: Sequence[Prompt], settings: BenchSettings) -> int:
    """How many samples a run of these prompts takes: a record for each cell, turn and repeat."""
    return len(tasks_of(prompts)) * len(make_cells(settings)) * settings.repeats


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every sample needs."""

    models: Models
    settings: BenchSettings
    ready: _Ready
    cells: dict[str, Cell]  # by label
    clock: Callable[[], int]

    def warm_up(self, ticker: _Ticker) -> None:
        """Decode without looking at the clock."""
        for cell, task, options in self.ready.warm_ups:
            if ticker.stop.requested:
                return
            engine = self.models.engine(cell)
            engine.generate(self.ready.inputs[task], method=cell.method, seed=options.seed, **call_options(options))
            ticker("warming up")

    def measure(self, writer: RunWriter, ticker: _Ticker) -> list[Record]:
        """Take the planned samples, or those before a stop was requested, and write each down at once."""
        settings, records = self.settings, list[Record]()
        subtasks = {prompt.id: prompt.subtask for prompt in self.ready.prompts}
        for step in make_plan(list(self.ready.inputs), list(self.cells), settings.repeats, settings.decoding.seed):
            if ticker.stop.requested:
                break
            gc.collect()
            record = self.sample(step, subtasks[step.task[0]])
            writer.add(record)
            records.append(record)
            ticker(f"repeat {step.repeat + 1} of {settings.repeats}")
        return records

    def sample(self, step: Step, subtask: str) -> Record:
        """Take one sample."""
        cell, ids = self.cells[step.cell], self.ready.inputs[step.task]
        engine, method, options = self.models.engine(cell), cell.method, call_options(cell.options)
        began = self.clock()
        out = engine.generate(ids, method=method, seed=step.seed, **options)
        total = self.clock() - began
        return Record(
            prompt_id=step.task[0],
            subtask=subtask,
            turn=step.task[1],
            method=step.cell,
            repeat=step.repeat,
            order=step.order,
            seed=step.seed,
            prompt_tokens=len(ids),
            new_tokens=out.tokens,
            rounds=tuple(RoundCounts(item.drafted, item.accepted, item.emitted) for item in out.rounds),
            finish_reason=out.finish_reason,
            text=out.text,
            prefill_ns=out.prefill_ns,
            ttft_ns=out.ttft_ns,
            decode_ns=out.decode_ns,
            total_ns=total,
        )


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Let no garbage collection fall into a sample; the runner collects between samples."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Run with so many CPU threads, or with torch's own choice."""
    if count is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
