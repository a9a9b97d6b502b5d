"""Measures an open run: a check pass that looks closely, and timed passes that record nothing but ids and times.

The clock is read right before and right after ``Engine.generate``; the engine synchronises the device at both ends.
What is on the disk already is not done again.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from statistics import median_low
from time import perf_counter_ns
from typing import Any

from draftwise.bench.cells import Cell, make_cells
from draftwise.bench.collector import quiet_collector
from draftwise.bench.costs import measure_costs, widths_for
from draftwise.bench.environment import describe_end
from draftwise.bench.inputs import WarmUp, call_options, warm_up_calls
from draftwise.bench.interrupt import StopRequest
from draftwise.bench.models import Models
from draftwise.bench.plan import Group, Task, make_plan, task_seed, tasks_of
from draftwise.bench.records import Check, RoundTrace, Sample
from draftwise.bench.settings import BenchSettings
from draftwise.bench.store import COSTS, RunStore, add_group
from draftwise.bench.ticker import Ticker
from draftwise.compiling import compilations
from draftwise.tasks import Prompt, score_answer


def planned_samples(prompts: Sequence[Prompt], settings: BenchSettings) -> int:
    """How many timed samples a run of these prompts takes."""
    return len(tasks_of(prompts)) * len(make_cells(settings)) * settings.sessions * settings.repeats


class Bench:
    """An open run and the models that it measures."""

    def __init__(
        self,
        models: Models,
        settings: BenchSettings,
        store: RunStore,
        stop: StopRequest,
        ticker: Ticker,
        clock: Callable[[], int] = perf_counter_ns,
    ) -> None:
        """Measure with ``clock``, in nanoseconds."""
        self.models, self.settings, self.store = models, settings, store
        self.cells = {cell.label: cell for cell in make_cells(settings)}
        self._stop, self._tick, self._clock = stop, ticker, clock
        self._prompts = {prompt.id: prompt for prompt in store.prompts}
        self._warm = False

    def look(self) -> None:
        """Take the checks that are missing and the cost of passes, or what comes before a stop was requested."""
        with self.store.checks() as log:
            done = self.store.checked(self.cells)
            for task in (task for task in self.store.inputs if task not in done):
                self._warm_up()
                checks = self._checks(task)
                if len(checks) < len(self.cells):
                    return
                add_group(log, checks)
        if not (self.store.directory / COSTS).exists():
            self._warm_up()
            if not self._stop.requested:
                self.store.write_costs(self._costs())

    def _checks(self, task: Task) -> list[Check]:
        """Look at every cell's answer to a task; fewer where a stop was requested."""
        checks: list[Check] = []
        for cell in self.cells.values():
            if self._stop.requested:
                break
            checks.append(self._check(cell, task))
            self._tick("checking")
        return checks

    def time(self, session: int) -> None:
        """Take the samples of a session that are missing, or those before a stop was requested."""
        settings = self.settings
        plan = make_plan(
            list(self.store.inputs),
            list(self.cells),
            sessions=settings.sessions,
            repeats=settings.repeats,
            seed=settings.decoding.seed,
        )
        with self.store.samples() as log:
            done = self.store.sampled(self.cells)
            missing = [group for group in plan if group.session == session and group.key not in done]
            if not missing or self._stop.requested:
                return
            self._note(session, "begin")
            self._warm_up()
            with quiet_collector():
                for group in missing:
                    if self._stop.requested:
                        break
                    gc.collect()
                    samples = self._group(group)
                    add_group(log, samples)
                    self._tick(_where(group, settings), len(samples))
        self._note(session, "end")

    def _note(self, session: int, when: str) -> None:
        self.store.note_session({"session": session, "when": when} | describe_end(self.models.first))

    def warm_ups(self) -> list[WarmUp]:
        """The untimed calls before the first sample of every process."""
        return warm_up_calls(list(self.cells.values()), self.settings, self.store.inputs)

    def _warm_up(self) -> None:
        """Decode without looking at the clock, once a process."""
        if self._warm:
            return
        self._warm = True
        for cell, task, options in self.warm_ups():
            if self._stop.requested:
                return
            ids = self.store.inputs[task]
            self.models.engine(cell).generate(ids, method=cell.method, seed=options.seed, **call_options(options))
            self._tick("warming up")

    def _check(self, cell: Cell, task: Task) -> Check:
        engine, ids, prompt = self.models.engine(cell), self.store.inputs[task], self._prompts[task[0]]
        seed = task_seed(self.settings.decoding.seed, task)
        trace = engine.trace(ids, method=cell.method, seed=seed, **call_options(cell.options))
        out = trace.generation
        rounds = (
            RoundTrace(
                draft=span.draft,
                accepted=counts.accepted,
                emitted=counts.emitted,
                draft_passes=span.draft_passes,
                draft_ns=span.draft_ns,
                verify_ns=span.verify_ns,
                judge_ns=span.judge_ns,
                engine_ns=span.engine_ns,
                wait_ns=span.wait_ns,
            )
            for counts, span in zip(out.rounds, trace.rounds, strict=True)
        )
        return Check(
            prompt_id=prompt.id,
            subtask=prompt.subtask,
            turn=task[1],
            method=cell.label,
            seed=seed,
            prompt_tokens=len(ids),
            new_tokens=out.tokens,
            pieces=engine.pieces(out.tokens),
            finish_reason=out.finish_reason,
            text=out.text,
            score=score_answer(prompt, task[1], out.text.strip()),
            rounds=tuple(rounds),
        )

    def _costs(self) -> dict[str, Any]:
        """What passes cost in the middle of the answer to a prompt of the median length."""
        length = median_low(map(len, self.store.inputs.values()))
        self._tick("timing passes", 0)
        context = length + self.settings.decoding.max_new_tokens // 2
        return measure_costs(self.models, widths_for(list(self.cells.values())), context)

    def _group(self, group: Group) -> list[Sample]:
        """Take a group's samples back to back; fewer where a stop was requested."""
        samples: list[Sample] = []
        for place, label in enumerate(group.labels):
            if self._stop.requested:
                break
            samples.append(self._sample(group, self.cells[label], group.first + place))
        return samples

    def _sample(self, group: Group, cell: Cell, order: int) -> Sample:
        ids = self.store.inputs[group.task]
        engine, method, options = self.models.engine(cell), cell.method, call_options(cell.options)
        compiled = compilations()
        began = self._clock()
        out = engine.generate(ids, method=method, seed=group.seed, **options)
        total = self._clock() - began
        return Sample(
            prompt_id=group.task[0],
            subtask=self._prompts[group.task[0]].subtask,
            turn=group.task[1],
            method=cell.label,
            session=group.session,
            repeat=group.repeat,
            order=order,
            seed=group.seed,
            prompt_tokens=len(ids),
            new_tokens=out.tokens,
            passes=len(out.rounds),
            compilations=compilations() - compiled,
            prefill_ns=out.prefill_ns,
            ttft_ns=out.ttft_ns,
            decode_ns=out.decode_ns,
            total_ns=total,
        )


def _where(group: Group, settings: BenchSettings) -> str:
    repeat = f"repeat {group.repeat + 1} of {settings.repeats}"
    return repeat if settings.sessions == 1 else f"session {group.session + 1} of {settings.sessions}, {repeat}"
