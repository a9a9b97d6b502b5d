"""Rule 6 on a device that works behind the host's back: synchronised at both ends of each part and nowhere between."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from draftwise import Engine, clock
from draftwise.methods import METHODS
from toys import Toy, cousin, toy

HOST, DEVICE = 1_000, 1_000_000
"""The nanoseconds that a pass takes to be asked for, and to be done."""


class Queue:
    """A device that does nothing until it is waited for, and the clock on its host's wall."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.owed = 0
        self.events: list[str] = []
        monkeypatch.setattr(clock, "synchronize", self.wait)
        monkeypatch.setattr("draftwise.clock.perf_counter_ns", lambda: self.now)
        monkeypatch.setattr("draftwise.running.perf_counter_ns", lambda: self.now)

    def take(self) -> None:
        self.now, self.owed = self.now + HOST, self.owed + DEVICE
        self.events.append("pass")

    def wait(self, devices: object) -> None:
        self.now, self.owed = self.now + self.owed, 0
        self.events.append("wait")


class Queued(Toy):
    """A model on such a device."""

    queue: Queue

    def forward(self, *args: Any, **options: Any) -> torch.Tensor:
        self.queue.take()
        return super().forward(*args, **options)


class Oversynchronised(Queued):
    """Planted: a wait after every pass."""

    def forward(self, *args: Any, **options: Any) -> torch.Tensor:
        logits = super().forward(*args, **options)
        clock.synchronize(())
        return logits


def check(queue: Queue, engine: Engine, method: str) -> None:
    """All that was asked for in a part of an answer is in that part's time, and only its ends wait for it."""
    queue.take()  # of whatever came before: not the answer's
    queue.events.clear()
    answer = engine.generate([1, 2, 3], method=method, max_new_tokens=12, temperature=1.0)
    filled = 2 if METHODS[method].needs_draft else 1
    passes = queue.events.count("pass") - filled
    assert queue.events == ["wait", *["pass"] * filled, "wait", *["pass"] * passes, "wait"]
    assert answer.prefill_ns == filled * (HOST + DEVICE)
    assert answer.decode_ns == passes * (HOST + DEVICE)


def pair(queue: Queue, kind: type[Queued] = Queued) -> tuple[Queued, Queued]:
    target = toy(8, seed=1)
    models = kind(target.table), kind(cousin(target, 0.7).table)
    for model in models:
        model.queue = queue
    return models


@pytest.mark.parametrize("method", METHODS)
def test_the_engines_clock_waits_for_the_device_at_both_ends_and_nowhere_between(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(monkeypatch)
    check(queue, Engine(*pair(queue)), method)


@pytest.mark.parametrize("method", METHODS)
def test_an_engine_that_reads_its_clock_while_the_device_works_is_caught(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(monkeypatch)
    monkeypatch.setattr("draftwise.running.settled_ns", lambda devices: queue.now)
    with pytest.raises(AssertionError):
        check(queue, Engine(*pair(queue)), method)


@pytest.mark.parametrize("method", METHODS)
def test_an_engine_that_waits_between_the_rounds_is_caught(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(monkeypatch)
    with pytest.raises(AssertionError):
        check(queue, Engine(*pair(queue, Oversynchronised)), method)


def test_the_devices_of_both_models_are_waited_for_each_once() -> None:
    target, draft = toy(8), toy(8)
    assert Engine(target, draft).devices == (torch.device("cpu"),)
    draft.device = torch.device("cuda", 1)
    assert Engine(target, draft).devices == (torch.device("cpu"), torch.device("cuda", 1))
    assert Engine(target).devices == (torch.device("cpu"),)


def test_a_gpus_queue_is_waited_for_and_a_cpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    clock.synchronize((torch.device("cpu"), torch.device("cuda", 1)))
    assert waited == [torch.device("cuda", 1)]
