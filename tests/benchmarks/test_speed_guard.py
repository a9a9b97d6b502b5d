from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from benchmarks.speed import __main__ as commands
from benchmarks.speed.baseline import Baseline, baseline_path, machine_name, merged, read_baseline, write_baseline
from benchmarks.speed.guard import compare, finding_lines, holds
from benchmarks.speed.ratios import Ratio, Work, in_turns, ratio_of
from benchmarks.speed.works import OutsidePasses, a_pass, answers, small_operations
from draftwise import Engine
from draftwise.errors import DraftwiseError

ROUNDS = 100


def stored(value: float, spread: float = 0.02) -> Ratio:
    return Ratio(value, value * (1 - spread), value * (1 + spread), 1000 * value, 1000.0)


def plain_rounds(
    run: Callable[[Any], object], setup: Callable[[], Any], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """What pytest-benchmark does, without its record."""
    times = []
    for _ in range(rounds + 3):
        (prepared,), _ = setup()
        began = clock()
        run(prepared)
        times.append(clock() - began)
    return times[-rounds:]


def verdicts(before: dict[str, Ratio], *runs: dict[str, Ratio]) -> dict[str, str]:
    """What a comparison finds where the measuring gives these in turn."""
    given = iter(runs)

    def measure(names: Sequence[str]) -> dict[str, Ratio]:
        found = next(given)
        return {name: found[name] for name in names} if names else found

    return {finding.name: finding.verdict for finding in compare(before, measure)}


@pytest.mark.parametrize(("factor", "verdict"), [(1.15, "worse"), (1.03, "same"), (1.0, "same"), (0.8, "better")])
def test_a_slowdown_of_15_percent_is_flagged_and_one_of_3_is_not(factor: float, verdict: str) -> None:
    before = {"pass": stored(0.5), "round": stored(2.0)}
    now = {"pass": stored(0.5 * factor), "round": stored(2.0)}
    assert verdicts(before, now, now) == {"pass": verdict, "round": "same"}


def test_only_what_is_worse_twice_is_flagged() -> None:
    before = {"a": stored(1.0), "b": stored(1.0)}
    slow = {"a": stored(1.2), "b": stored(1.2)}
    assert verdicts(before, slow, {"a": stored(1.02), "b": stored(1.19)}) == {"a": "same", "b": "worse"}


def test_what_lies_within_its_own_spread_is_not_flagged() -> None:
    before, now = {"noisy": stored(1.0, 0.2)}, {"noisy": stored(1.3, 0.15)}
    assert verdicts(before, now, now) == {"noisy": "same"}
    assert "spread of the baseline 20 %" in "\n".join(finding_lines(compare(before, lambda names: now)))


def test_a_benchmark_that_is_no_longer_measured_fails_and_a_new_one_does_not() -> None:
    findings = compare({"gone": stored(1.0), "kept": stored(1.0)}, lambda names: {"kept": stored(1.0)})
    assert [finding.verdict for finding in findings] == ["missing", "same"] and not holds(findings)
    findings = compare({"kept": stored(1.0)}, lambda names: {"kept": stored(1.0), "added": stored(1.0)})
    assert [finding.verdict for finding in findings] == ["same", "new"] and holds(findings)


def test_a_ratio_is_the_median_of_pairs_and_a_few_slow_moments_do_not_tell() -> None:
    reference = [1.0, 2.0, 1.0, 2.0, 1.0] * 8
    subject = [3 * seconds for seconds in reference]
    subject[3] = subject[17] = 100.0
    found = ratio_of(subject, reference)
    assert (found.value, found.low, found.high) == (3.0, 3.0, 3.0)
    assert (found.subject_us, found.reference_us) == (3e6, 1e6)


def test_a_baseline_holds_the_spread_between_processes(tmp_path: Path) -> None:
    runs = [{"pass": stored(value)} for value in (0.50, 0.55, 0.52)]
    baseline = merged(runs, threads=2)
    assert baseline.ratios["pass"] == Ratio(0.52, 0.50 * 0.98, 0.55 * 1.02, 520.0, 1000.0)
    path = tmp_path / "baseline-here.json"
    write_baseline(baseline, path)
    assert read_baseline(path) == baseline
    path.write_text("{}")
    with pytest.raises(DraftwiseError, match="is no baseline"):
        read_baseline(path)


def test_a_machine_without_a_baseline_is_told_how_to_make_one() -> None:
    done = CliRunner().invoke(commands.command, ["compare", "--machine", "no-such-machine"])
    assert done.exit_code == 2
    assert "no baseline 'baseline-no-such-machine.json'" in done.output and "renew" in done.output


@pytest.mark.parametrize(("factor", "code"), [(1.15, 1), (1.03, 0)])
def test_the_command_exits_with_its_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float, code: int
) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(Baseline({}, 2, 1, {"bench_passes.py::a_pass[1]": stored(1.0)}), path)
    asked: list[tuple[tuple[str, ...], int]] = []

    def measure(names: Sequence[str], threads: int) -> dict[str, Ratio]:
        asked.append((tuple(names), threads))
        return {"bench_passes.py::a_pass[1]": stored(factor)}

    monkeypatch.setattr(commands, "measure", measure)
    monkeypatch.setattr(commands, "baseline_path", lambda machine: path)
    done = CliRunner().invoke(commands.command, ["compare"])
    assert done.exit_code == code, done.output
    assert asked == [((), 2), (("bench_passes.py::a_pass[1]",), 2)][: 1 + code]
    assert ("WORSE, twice" in done.output) == bool(code)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load()


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def slowed(work: Work, share: float) -> Work:
    """Planted: the same work, which then goes on for a share of the time that it took."""

    def run(prepared: object) -> None:
        began = time.thread_time()
        work.run(prepared)
        end = time.thread_time() + share * (time.thread_time() - began)
        while time.thread_time() < end:
            pass

    return Work(run, work.prepare, work.parts)


def test_a_really_slower_pass_is_caught(one_thread: None) -> None:
    """By 15 % and not by 3 %; in the thread's own time, which busy neighbours take nothing of."""
    draft = Engine.load(backend="plain").draft
    assert draft is not None
    own = a_pass(draft, 5)

    def measure(share: float) -> dict[str, Ratio]:
        timed = partial(plain_rounds, clock=time.thread_time)
        return {"pass": in_turns(slowed(own, share), own, ROUNDS, timed, time.thread_time)}

    before = measure(0.0)
    found = {share: compare(before, lambda names, share=share: measure(share))[0] for share in (0.03, 0.15)}
    assert {share: finding.verdict for share, finding in found.items()} == {0.03: "same", 0.15: "worse"}, found


def test_the_clock_outside_passes_leaves_them_out(engine: Engine) -> None:
    clock = OutsidePasses()
    options = {"max_new_tokens": 8, "ignore_eos": True}
    prompt = engine.encode("a b c")
    began, started = time.perf_counter(), clock()
    rounds = clock.answer(engine, prompt, "as", **options)
    outside, took = clock() - started, time.perf_counter() - began
    assert rounds == 8 and 0 < outside < took / 2
    assert clock.passes == pytest.approx(took - outside, rel=0.2)


def test_answers_count_rounds_and_tokens(engine: Engine) -> None:
    prompt = engine.encode("a b c")
    by_token = answers(engine, [prompt, prompt], "sps", "token", max_new_tokens=8, ignore_eos=True)
    by_round = answers(engine, [prompt, prompt], "as", "round", max_new_tokens=8, ignore_eos=True)
    assert by_token.parts == by_round.parts == 16
    found = in_turns(by_token, small_operations(), 3, plain_rounds)
    assert found.low <= found.value <= found.high


def test_a_benchmark_runs_in_a_process_of_its_own() -> None:
    pytest.importorskip("pytest_benchmark")
    name = "benchmarks/speed/bench_passes.py::bench_builtin_pass[draft-1-float32]"
    found = commands.measure([name], threads=1)
    assert list(found) == [name]
    assert 0 < found[name].low <= found[name].value <= found[name].high
    with pytest.raises(DraftwiseError, match="the benchmarks failed"):
        commands.measure(["benchmarks/speed/bench_passes.py::bench_of_nothing"], threads=1)


def test_a_machines_name_is_a_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.speed.baseline.cpu_model", lambda: "Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz")
    monkeypatch.setattr("benchmarks.speed.baseline.available_cores", lambda: 2)
    assert machine_name() == "intel-xeon-cpu-e5-2680-v4-2-40ghz-2-cores"
    assert baseline_path(machine_name()).name == "baseline-intel-xeon-cpu-e5-2680-v4-2-40ghz-2-cores.json"
