"""Check pass and timed passes stay apart, and nothing but answers falls into a timed pass."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from fakes import COSTS, METHODS, SAMPLES, TASKS, Call, FakeEngine, models

from draftwise import compiling
from draftwise.bench import BenchSettings, measure
from draftwise.bench.interrupt import StoppedEarlyError
from draftwise.bench.measure import Bench
from draftwise.bench.records import read_checks, read_samples
from draftwise.bench.runner import RunResult, run_bench
from draftwise.bench.store import read_optional, read_run
from draftwise.tasks import load_suite

FULL = 12
"""New tokens of an answer; a short warm-up has eight."""


class Watched(FakeEngine):
    """Also notes whether the collector of garbage rests."""

    def _answer(self, *arguments: Any) -> Any:
        out = super()._answer(*arguments)
        self.calls[-1].options["collector"] = gc.isenabled()
        return out


def run(engine: FakeEngine, settings: BenchSettings, directory: Path, **more: Any) -> RunResult:
    return run_bench(
        lambda: models(engine), settings, load_suite("small"), directory, **{"clock": engine.clock, **more}
    )


def faults(calls: list[Call]) -> list[str]:
    """What is wrong with the order of a process's calls, of which the last ``SAMPLES`` should be timed."""
    found = []
    timed, before = calls[-SAMPLES:], calls[:-SAMPLES]
    if any(call.kind == "trace" for call in timed):
        found.append("traced within a timed pass")
    if any(call.options["collector"] for call in timed):
        found.append("the collector at work within a timed pass")
    if not all(call.options["collector"] for call in before):
        found.append("the collector at rest outside of the timed passes")
    if any(call.options["max_new_tokens"] != FULL for call in timed):
        found.append("a warm-up within a timed pass")
    if sum(call.kind == "trace" for call in before) != TASKS * len(METHODS):
        found.append("not every check before the first timed sample")
    return found


def test_nothing_is_traced_warmed_up_or_collected_within_a_timed_pass(settings: BenchSettings, tmp_path: Path) -> None:
    engine = Watched()
    run(engine, settings, tmp_path)
    assert faults(engine.calls) == []
    assert gc.isenabled() and gc.get_freeze_count() == 0


def traced(self: Bench, group: Any, cell: Any, order: int) -> Any:
    """The planted cheat: a sample that is looked at while it is timed."""
    self._check(cell, group.task)
    return REAL_SAMPLE(self, group, cell, order)


def late_warm_up(self: Bench, group: Any, cell: Any, order: int) -> Any:
    options = {"max_new_tokens": 8}
    self.models.engine(cell).generate(self.store.inputs[group.task], method=cell.method, seed=0, **options)
    return REAL_SAMPLE(self, group, cell, order)


def collecting(self: Bench, group: Any, cell: Any, order: int) -> Any:
    gc.enable()
    return REAL_SAMPLE(self, group, cell, order)


REAL_SAMPLE = Bench._sample


@pytest.mark.parametrize(
    ("cheat", "seen"),
    [
        (traced, "traced within a timed pass"),
        (late_warm_up, "a warm-up within a timed pass"),
        (collecting, "the collector at work within a timed pass"),
    ],
)
def test_a_planted_violation_is_seen(
    settings: BenchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheat: Any, seen: str
) -> None:
    monkeypatch.setattr(Bench, "_sample", cheat)
    engine = Watched()
    run(engine, settings, tmp_path)
    assert seen in faults(engine.calls)
    gc.enable()


def test_every_method_is_warmed_up_at_every_length_before_the_first_check(
    settings: BenchSettings, tmp_path: Path
) -> None:
    engine = FakeEngine()
    run(engine, settings, tmp_path)
    first = next(place for place, call in enumerate(engine.calls) if call.kind == "trace")
    warm = engine.calls[2:first]
    lengths = {len(call.ids) for call in engine.calls[-SAMPLES:]}
    short = {(call.method, len(call.ids)) for call in warm if call.options["max_new_tokens"] == 8}
    assert short == {(method, length) for method in METHODS for length in lengths}
    full = {(call.method, len(call.ids)) for call in warm if call.options["max_new_tokens"] == FULL}
    assert full == {(method, max(lengths)) for method in METHODS}
    assert read_run(tmp_path)["environment"]["warm_ups"] == len(warm) == 3 * (len(lengths) + 1)
    assert len(engine.calls) == 2 + len(warm) + TASKS * 3 + SAMPLES


@pytest.mark.parametrize("cut", ["checks.jsonl", "costs.json", "records.jsonl"])
def test_a_process_that_goes_on_warms_up_once_before_whatever_is_missing(
    settings: BenchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    run(FakeEngine(), settings, tmp_path)
    for name in ("records.jsonl", "costs.json", "checks.jsonl"):
        (tmp_path / name).unlink()
        if name == cut:
            break
    engine = FakeEngine()
    when: list[int] = []
    monkeypatch.setattr(measure, "measure_costs", lambda *_: when.append(len(engine.calls)) or COSTS)
    seen: list[tuple[int, int, str]] = []
    run(engine, settings, tmp_path, progress=lambda *state: seen.append(state))
    warm_ups = read_run(tmp_path)["environment"]["warm_ups"]
    assert [label for _, _, label in seen].count("warming up") == warm_ups
    assert seen[warm_ups - 1][2] == "warming up"
    assert all(place >= warm_ups for place in when) and len(when) == (cut != "records.jsonl")
    assert seen[-1][:2] == (len(engine.calls), len(engine.calls))


def test_checks_and_costs_that_are_there_are_not_taken_again(settings: BenchSettings, tmp_path: Path) -> None:
    run(FakeEngine(), settings, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in ("checks.jsonl", "costs.json")}
    (tmp_path / "records.jsonl").unlink()
    engine = FakeEngine()
    run(engine, settings, tmp_path)
    assert not any(call.kind == "trace" for call in engine.calls)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_progress_counts_every_unit_to_its_total_between_groups(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    seen: list[tuple[int, int, str]] = []
    run(engine, settings, tmp_path, progress=lambda *state: seen.append(state))
    assert seen[-1] == (len(engine.calls), len(engine.calls), "repeat 3 of 3")
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    timed = [done for done, _, label in seen if label.startswith("repeat")]
    assert timed == list(range(len(engine.calls) - SAMPLES + 3, len(engine.calls) + 1, 3))
    assert list(dict.fromkeys(label for _, _, label in seen)) == [
        *("first answers", "warming up", "checking", "timing passes"),
        *("repeat 1 of 3", "repeat 2 of 3", "repeat 3 of 3"),
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_current_sample(
    settings: BenchSettings, tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    engine = FakeEngine()
    answer = engine.generate

    def generate(ids: list[int], **options: Any) -> Any:
        kinds = [call.kind for call in engine.calls]
        if kinds[-9:] == ["generate"] * 9 and kinds[-10:-9] == ["trace"]:
            os.kill(os.getpid(), number)
        return answer(ids, **options)

    engine.generate = generate  # type: ignore[method-assign]
    result = run(engine, settings, tmp_path)
    assert result.samples == 10 == len(list(read_samples(tmp_path)))
    assert (result.complete, result.stopped_by) == (False, number.name)
    assert read_optional(tmp_path / "end.json")["stopped_by"] == number.name
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize(("label", "checks"), [("warming up", 0), ("checking", 0), ("timing passes", TASKS)])
def test_a_signal_before_the_first_sample_leaves_a_run_without_samples_that_goes_on(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path, label: str, checks: int
) -> None:
    def progress(done: int, total: int, now: str) -> None:
        if now == label:
            signal.raise_signal(signal.SIGTERM)

    result = run(engine, settings, tmp_path, progress=progress)
    assert (result.samples, result.complete, result.stopped_by) == (0, False, "SIGTERM")
    assert len(list(read_checks(tmp_path))) == checks if (tmp_path / "checks.jsonl").exists() else checks == 0
    assert run(FakeEngine(), settings, tmp_path).complete


def test_a_signal_while_prompts_are_prepared_leaves_nothing(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    with pytest.raises(StoppedEarlyError, match="SIGTERM before the first sample"):
        run(engine, settings, tmp_path / "run", progress=lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert not (tmp_path / "run").exists()


def test_a_program_that_is_compiled_within_a_sample_is_counted_there_and_not_elsewhere(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    answer = engine.generate

    def generate(ids: list[int], **options: Any) -> Any:
        if len(engine.calls) % 10 == 0:
            compiling.note_compilation()
        return answer(ids, **options)

    engine.generate = generate  # type: ignore[method-assign]
    run(engine, settings, tmp_path)
    first = len(engine.calls) - SAMPLES
    wanted = [int((first + place) % 10 == 0) for place in range(SAMPLES)]
    assert [item.compilations for item in read_samples(tmp_path)] == wanted and sum(wanted) >= 6


def test_a_device_is_waited_for_by_the_engine_so_the_clock_is_read_twice_a_sample_and_nowhere_else(
    settings: BenchSettings, tmp_path: Path
) -> None:
    engine, reads = FakeEngine(), []

    def clock() -> int:
        reads.append(len(engine.calls))
        return engine.now

    run(engine, settings, tmp_path, clock=clock)
    last = len(engine.calls)
    assert reads == [place for call in range(last - SAMPLES, last) for place in (call, call + 1)]
