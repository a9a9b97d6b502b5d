"""Rule 6: one monotonic wall clock, the device waited for at both ends and nowhere between, no tracing in a timed pass.

tests/test_clock.py runs the engine on a device that works behind the host's back and plants a clock that doesn't wait
for it, and waits between the rounds; here are the clocks of the bench, and what is traced.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bed import EOS, TASKS, Reader, bench, reader, settings, summary_of, warnings_of

from draftwise import clock, engine, running
from draftwise.bench import measure
from draftwise.bench.runner import run_bench
from toys import Toy, toy

NAP = 0.002


class Sleepy(Toy):
    """A model whose passes take 2 ms, asleep: no clock of the processor's time sees them."""

    def forward(self, *args: Any, **options: Any) -> torch.Tensor:
        time.sleep(NAP)
        return super().forward(*args, **options)


def sleepy() -> Reader:
    model = toy(128, seed=1, eos_token_ids=(EOS,), max_positions=256)
    return reader(target=Sleepy(model.table, model.eos_token_ids, model.max_positions))


def check_wall(kind: Callable[[], Reader] = sleepy) -> None:
    """Every pass is in the answer's times, and every part in the caller's."""
    began = time.perf_counter_ns()
    answer = kind().generate(list(b"Where?"), method="as", max_new_tokens=6)
    total = time.perf_counter_ns() - began
    assert answer.decode_ns >= len(answer.rounds) * NAP * 1e9
    assert answer.prefill_ns >= NAP * 1e9
    assert answer.prefill_ns + answer.decode_ns <= total
    assert answer.prefill_ns < answer.ttft_ns <= answer.prefill_ns + answer.decode_ns


def test_an_answers_times_are_those_of_the_wall() -> None:
    check_wall()


@pytest.mark.parametrize("module", [clock, running])
def test_planted_a_clock_of_the_processors_time_is_caught(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "perf_counter_ns", time.process_time_ns)
    with pytest.raises(AssertionError):
        check_wall()


def test_planted_a_bench_that_reads_the_processors_time_has_no_valid_sample(tmp_path: Path) -> None:
    bench(sleepy(), tmp_path, settings(repeats=1, max_new_tokens=4), clock=time.process_time_ns)
    found = summary_of(tmp_path)
    assert found["invalid_count"] == found["samples"] == TASKS * 3
    assert found["invalid"][0]["reason"] == "the total time is shorter than its parts"
    assert found["overall"]["as"]["tokens_per_second"] is None


def test_planted_a_clock_that_is_set_back_spoils_the_sample_it_falls_in(tmp_path: Path) -> None:
    readings = 0

    def set_back() -> int:
        nonlocal readings
        readings += 1
        return time.perf_counter_ns() - (3_600_000_000_000 if readings >= 12 else 0)

    bench(reader(), tmp_path, clock=set_back)
    found = summary_of(tmp_path)
    assert found["invalid_count"] == 1
    assert "1 invalid sample counted for nothing" in warnings_of(tmp_path)
    assert "the total time is shorter than its parts" in warnings_of(tmp_path)


def test_the_clock_that_a_run_reads_by_itself_is_the_monotonic_one() -> None:
    assert clock.perf_counter_ns is running.perf_counter_ns is time.perf_counter_ns
    for taker in (run_bench, measure.Bench):
        assert inspect.signature(taker).parameters["clock"].default is time.perf_counter_ns
    assert time.get_clock_info("perf_counter").monotonic


def kinds_of_calls(engine: Reader) -> list[str]:
    return [call.kind for call in engine.calls]


def check_apart(engine: Reader, directory: Path) -> None:
    """Each cell is traced once for each task, before the first timed answer and never within one."""
    bench(engine, directory, settings(repeats=2))
    kinds = kinds_of_calls(engine)
    timed = TASKS * 3 * 2
    assert kinds.count("trace") == TASKS * 3
    assert kinds[-timed:] == ["generate"] * timed


def test_tracing_runs_in_the_check_pass_alone(tmp_path: Path) -> None:
    check_apart(reader(), tmp_path)


def test_planted_a_timed_pass_that_traces_is_caught(tmp_path: Path) -> None:
    class Tracing(Reader):
        def generate(self, prompt: Any, **more: Any) -> Any:
            traced = "trace" in kinds_of_calls(self)
            return self.trace(prompt, **more).generation if traced else super().generate(prompt, **more)

    with pytest.raises(AssertionError):
        check_apart(reader(Tracing), tmp_path)


def test_a_timed_answer_makes_no_observer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("an observer was made")

    model = reader()
    monkeypatch.setattr(engine, "Tracer", refuse)
    model.generate([1, 2, 3], method="sps")
    with pytest.raises(AssertionError, match="observer"):
        model.trace([1, 2, 3], method="sps")


def test_a_sample_spans_the_whole_call_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of a sample is read right before and right after the call: what a run does between is in no sample."""
    readings: list[str] = []

    class Listed(Reader):
        def generate(self, prompt: Any, **more: Any) -> Any:
            readings.append("call")
            return super().generate(prompt, **more)

    def now() -> int:
        readings.append("clock")
        return time.perf_counter_ns()

    add = measure.add_group
    monkeypatch.setattr(measure, "add_group", lambda *more: (readings.append("write"), add(*more))[1])
    bench(reader(Listed), tmp_path, settings(repeats=1), clock=now)
    timed = readings[readings.index("clock") :]
    assert timed == [*["clock", "call", "clock"] * 3, "write"] * TASKS
