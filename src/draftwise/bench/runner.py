"""Runs a bench: everything is checked and warmed up first, then samples are taken one by one and written down at once.

The clock is read right before and right after ``Engine.generate``; the engine synchronises the device at both ends.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from draftwise.bench.environment import describe_end, describe_environment
from draftwise.bench.inputs import WarmUp, answers_needed, call_options, make_inputs, warm_up_calls
from draftwise.bench.interrupt import StopRequest
from draftwise.bench.plan import Step, Task, make_plan, tasks_of
from draftwise.bench.records import Record, RoundCounts, RunWriter, prepare_directory, write_end
from draftwise.bench.settings import BenchSettings
from draftwise.tasks import Prompt, load_suite

if TYPE_CHECKING:
    from draftwise.engine import Engine

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
    engine: Engine,
    settings: BenchSettings,
    directory: str | Path,
    *,
    progress: Progress | None = None,
    clock: Callable[[], int] = perf_counter_ns,
) -> RunResult:
    """Measure every method of the settings on every prompt and write the run to ``directory``.

    Ctrl-C or SIGTERM ends the run after the current sample; its records stay.

    Args:
        engine: with the models of ``settings`` loaded.
        settings: what to measure.
        directory: where ``run.json``, ``records.jsonl`` and ``end.json`` go; must hold no other run.
        progress: called between samples.
        clock: nanoseconds; for tests.

    Raises:
        DraftwiseError: the directory or a prompt can't be used (nothing is written then), or the disk is full.
    """
    path = prepare_directory(directory)
    prompts = load_suite(settings.suite, settings.subtasks, settings.limit).prompts
    with StopRequest() as stop, _threads(settings.threads):
        planned = len(tasks_of(prompts)) * len(settings.methods) * settings.repeats
        ticker = _Ticker(answers_needed(prompts) + planned, progress, stop)

        def early(label: str) -> None:
            ticker(label)
            stop.check()

        environment = describe_environment(engine, settings, prompts)
        inputs = make_inputs(engine, settings, prompts, early)
        warm_ups = warm_up_calls(settings, inputs)
        ticker.total += len(warm_ups)
        stop.check()
        environment["warm_ups"] = len(warm_ups)
        header = {"settings": settings.to_record(), "environment": environment, "planned": planned}
        bench = _Bench(engine, settings, {prompt.id: prompt.subtask for prompt in prompts}, inputs, clock)
        with RunWriter(path, header) as writer, _quiet_collector():
            bench.warm_up(warm_ups, ticker)
            records = bench.measure(writer, ticker)
        environment["after"] = describe_end(engine)
        end = {"complete": len(records) == planned, "samples": len(records), "stopped_by": stop.signal}
        write_end(path, end | {"planned": planned, "environment": environment["after"]})
    return RunResult(path, settings, prompts, environment, tuple(records), planned, stop.signal)


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every sample needs."""

    engine: Engine
    settings: BenchSettings
    subtasks: dict[str, str]  # by prompt id
    inputs: dict[Task, list[int]]
    clock: Callable[[], int]

    def warm_up(self, calls: list[WarmUp], ticker: _Ticker) -> None:
        """Decode without looking at the clock."""
        for method, task, options in calls:
            if ticker.stop.requested:
                return
            self.engine.generate(self.inputs[task], method=method, seed=options.seed, **call_options(options))
            ticker("warming up")

    def measure(self, writer: RunWriter, ticker: _Ticker) -> list[Record]:
        """Take the planned samples, or those before a stop was requested, and write each down at once."""
        settings, records = self.settings, list[Record]()
        for step in make_plan(list(self.inputs), settings.methods, settings.repeats, settings.decoding.seed):
            if ticker.stop.requested:
                break
            gc.collect()
            record = self.sample(step)
            writer.add(record)
            records.append(record)
            ticker(f"repeat {step.repeat + 1} of {settings.repeats}")
        return records

    def sample(self, step: Step) -> Record:
        """Take one sample."""
        ids, options = self.inputs[step.task], call_options(self.settings.decoding)
        began = self.clock()
        out = self.engine.generate(ids, method=step.method, seed=step.seed, **options)
        total = self.clock() - began
        return Record(
            prompt_id=step.task[0],
            subtask=self.subtasks[step.task[0]],
            turn=step.task[1],
            method=step.method,
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
