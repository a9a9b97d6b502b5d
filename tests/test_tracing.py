from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from draftwise import Engine, tracing
from draftwise.decoding.types import Context
from draftwise.drafters.small_model import SmallModelDrafter
from draftwise.methods import METHODS
from draftwise.models.loading import load_model
from draftwise.tracing import Span
from draftwise.verifiers.rejection import RejectionVerifier
from models.adapter.tiny_transformers import save_tiny
from models.tiny_opt import save_tiny_opt, save_tokenizer
from toys import Toy, cousin, toy

MS = 1_000_000


def toys() -> Engine:
    target = toy(8, seed=1, eos_token_ids=(6,))
    return Engine(target, cousin(target, 0.7))


@pytest.fixture(scope="module", params=["toys", "padded", "encoder-decoder"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    if request.param == "toys":
        return toys()
    target, draft = tmp_path_factory.mktemp("target"), tmp_path_factory.mktemp("draft")
    if request.param == "encoder-decoder":
        save_tiny(target, "t5 gated untied")
        save_tiny(draft, "t5 gated untied", d_ff=16, num_layers=1)
        return Engine(load_model(target), load_model(draft))
    for directory, size, layers in ((target, 64, 2), (draft, 56, 1)):
        save_tiny_opt(directory, vocab_size=size, layers=layers, tokenizer=False, init_std=0.6)
        save_tokenizer(directory, 48)
    return Engine.load(target, draft)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_traced_answer_is_the_untraced_one(engine: Engine, method: str, temperature: float) -> None:
    for seed, prompt in enumerate([[5, 7, 2], [7], [1, 2, 3, 4, 5, 6]]):
        for more in ({}, {"gamma": 1, "max_draft_tokens": 2}, {"max_new_tokens": 1}, {"stop_token_ids": [3, 4]}):
            options = {"method": method, "seed": seed, "temperature": temperature, "max_new_tokens": 20, **more}
            plain, trace = engine.generate(prompt, **options), engine.trace(prompt, **options)
            assert (trace.generation.tokens, trace.generation.rounds) == (plain.tokens, plain.rounds)
            assert (trace.generation.text, trace.generation.finish_reason) == (plain.text, plain.finish_reason)
            assert [len(span.draft) for span in trace.rounds] == [one.drafted for one in plain.rounds]


@pytest.mark.parametrize("method", METHODS)
def test_the_accepted_part_of_each_draft_is_what_the_round_emitted(method: str) -> None:
    trace = toys().trace([1, 2], method=method, temperature=1.0, max_new_tokens=40)
    rest = trace.generation.tokens
    for span, one in zip(trace.rounds, trace.generation.rounds, strict=True):
        assert span.draft[: one.accepted] == rest[: one.accepted]
        rest = rest[one.emitted :]
    assert rest == ()


def test_the_drafts_passes_are_counted_and_those_of_the_prompt_are_not() -> None:
    engine = toys()
    draft = engine.draft
    assert isinstance(draft, Toy)
    for method in METHODS:
        before = len(draft.passes)
        trace = engine.trace([1, 2, 3, 4], method=method, max_new_tokens=30, prefill_chunk=1)
        assert sum(span.draft_passes for span in trace.rounds) == len(draft.passes) - before
    engine = Engine(toy(8, seed=1), toy(8, seed=1))
    spans = engine.trace([1], method="sps", gamma=3, max_new_tokens=9).rounds
    assert [(len(span.draft), span.draft_passes) for span in spans] == [(3, 3), (3, 3), (0, 0)]


class Clock:
    """Moves only when it is told to: the wall's time, the thread's, and the work that a device hasn't done yet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.thread = self.queue = 0
        monkeypatch.setattr(tracing, "perf_counter_ns", lambda: self.wall)
        monkeypatch.setattr(tracing, "thread_time_ns", lambda: self.thread)
        monkeypatch.setattr(tracing, "synchronize", self.synchronize)

    def work(self, duration: int) -> None:
        self.wall, self.thread = self.wall + duration, self.thread + duration

    def sleep(self, duration: int) -> None:
        self.wall += duration

    def enqueue(self, duration: int) -> None:
        self.queue += duration

    def synchronize(self, devices: object) -> None:
        self.wall, self.queue = self.wall + self.queue, 0


def costly(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, cost: Callable[[], None]) -> None:
    inner = getattr(owner, name)

    def outer(*args: Any, **options: Any) -> Any:
        result = inner(*args, **options)
        cost()
        return result

    monkeypatch.setattr(owner, name, outer)


class Target(Toy):
    def forward(self, *args: Any, **options: Any) -> torch.Tensor:
        return super().forward(*args, **options)


def spans_of(monkeypatch: pytest.MonkeyPatch, clock: Clock, spend: Callable[[int], None]) -> tuple[Span, ...]:
    """The spans of three rounds whose parts take 1 ms a pass of the draft, 10 ms, 100 ms and 1 s."""
    target = toy(8, seed=1)
    costly(monkeypatch, SmallModelDrafter, "_pass", lambda: spend(1 * MS))
    costly(monkeypatch, Target, "forward", lambda: spend(10 * MS))
    costly(monkeypatch, RejectionVerifier, "judge", lambda: spend(100 * MS))
    monkeypatch.setattr("draftwise.decoding.loop.commit", _slow_commit(lambda: spend(1000 * MS)))
    engine = Engine(Target(target.table), target)
    return engine.trace([1, 2], method="sps", gamma=3, max_new_tokens=9).rounds


def _slow_commit(cost: Callable[[], None]) -> Callable[..., Any]:
    from draftwise.decoding.loop import commit

    def slow(*args: Any) -> Any:
        cost()
        return commit(*args)

    return slow


FULL = Span((0, 0, 0), 3, 3 * MS, 10 * MS, 100 * MS, 1000 * MS, 0)
EMPTY = Span((), 0, 0, 10 * MS, 100 * MS, 1000 * MS, 0)


def times(span: Span) -> Span:
    return span._replace(draft=(0,) * len(span.draft))


def test_each_part_of_a_round_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert list(map(times, spans_of(monkeypatch, clock, clock.work))) == [FULL, FULL, EMPTY]


def test_a_devices_work_belongs_to_the_part_that_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert list(map(times, spans_of(monkeypatch, clock, clock.enqueue))) == [FULL, FULL, EMPTY]


def test_what_lies_between_the_parts_is_the_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    costly(monkeypatch, Context, "last", lambda: clock.work(5 * MS))  # the block that the target is fed
    spans = Engine(toy(8)).trace([1], method="as", max_new_tokens=3).rounds
    assert spans == (Span((), 0, 0, 0, 0, 5 * MS, 0),) * 3


def test_without_a_wait_at_the_borders_the_work_would_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    monkeypatch.setattr(tracing, "synchronize", lambda devices: None)
    assert sum(span.verify_ns for span in spans_of(monkeypatch, clock, clock.enqueue)) == 0


def test_time_without_a_processor_is_waiting_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    spans = spans_of(monkeypatch, clock, clock.sleep)
    assert [span.wait_ns for span in spans] == [1113 * MS, 1113 * MS, 1110 * MS]
    assert all(span[2:6] == (0, 0, 0, 0) for span in spans)


def test_a_thread_clock_that_runs_ahead_makes_no_negative_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    def coarse(duration: int) -> None:
        clock.work(duration)
        clock.thread += duration // 3

    assert list(map(times, spans_of(monkeypatch, clock, coarse))) == [FULL, FULL, EMPTY]


@dataclass
class Slow(Toy):
    """A target whose passes take 20 ms, asleep or at work."""

    asleep: bool = True

    def forward(self, *args: Any, **options: Any) -> torch.Tensor:
        if self.asleep:
            time.sleep(0.02)
        else:
            end = time.thread_time_ns() + 20 * MS
            while time.thread_time_ns() < end:
                pass
        return super().forward(*args, **options)


def test_sleeping_and_working_are_told_apart_by_the_real_clocks() -> None:
    target = Slow(toy(8, seed=1).table)
    for span in Engine(target).trace([1], method="as", max_new_tokens=4).rounds:
        assert span.wait_ns >= 19 * MS
        assert span.verify_ns < 19 * MS
    for span in Engine(replace(target, asleep=False)).trace([1], method="as", max_new_tokens=4).rounds:
        assert span.verify_ns >= 19 * MS


def test_the_parts_are_never_negative_and_no_longer_than_the_answer() -> None:
    for method in METHODS:
        trace = toys().trace([1, 2], method=method, max_new_tokens=30)
        assert all(part >= 0 for span in trace.rounds for part in span[2:])
        assert 0 < sum(sum(span[2:]) for span in trace.rounds) <= trace.generation.decode_ns


def test_tracing_leaves_the_engine_as_it_was() -> None:
    engine = toys()
    models = engine.target, engine.draft
    engine.trace([1, 2])
    assert (engine.target, engine.draft) == models
