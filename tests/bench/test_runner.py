from __future__ import annotations

import gc
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import METHODS, MS, PASS, FakeEngine, models, prompts

from draftwise.bench import BenchSettings
from draftwise.bench.interrupt import StoppedEarlyError
from draftwise.bench.records import read_end, read_prompts, read_records, read_run
from draftwise.bench.runner import RunResult, run_bench
from draftwise.bench.settings import Axis
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions
from draftwise.tasks import history, load_suite, suite_sha256

SAMPLES = 7 * 3 * 3


def run(engine: FakeEngine, settings: BenchSettings, directory: Path, **more: object) -> RunResult:
    suite = load_suite(settings.source, settings.subtasks, settings.limit)
    return run_bench(models(engine), settings, suite, directory, clock=engine.clock, **more)  # type: ignore[arg-type]


def test_a_run_leaves_its_settings_records_and_end(engine: FakeEngine, settings: BenchSettings, tmp_path: Path) -> None:
    result = run(engine, settings, tmp_path / "run")
    header, end = read_run(tmp_path / "run"), read_end(tmp_path / "run")
    assert BenchSettings.from_record(header["settings"]) == settings
    assert header["planned"] == SAMPLES == end["samples"] == len(result.records)
    assert (end["complete"], result.complete, result.stopped_by) == (True, True, None)
    assert tuple(read_records(tmp_path / "run")) == result.records
    assert {"command", "revision", "versions", "sha256", "cpu", "cores", "threads"} <= header["environment"].keys()


def test_times_and_tokens_are_written_as_the_engine_and_the_clock_gave_them(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    record = next(item for item in run(engine, settings, tmp_path).records if item.method == "sps")
    assert record.decode_ns == 6 * PASS["sps"]
    assert record.total_ns == 5 * MS + record.decode_ns
    assert record.rounds == ((1, 1, 2),) * 6
    assert len(record.new_tokens) == 12
    line = json.loads((tmp_path / "records.jsonl").read_text().splitlines()[record.order])
    assert line["schema"] == 2 and line["rounds"][0] == [1, 1, 2] and line["new_tokens"] == list(record.new_tokens)


def test_the_second_turn_meets_plain_decodings_first_answer_with_every_method(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    settings = replace(settings, methods=("sps", "bild"), subtasks=("multi-turn",))
    run(engine, settings, tmp_path)
    first = engine.encode("Hello 0")
    assert engine.calls[0].method == "as" and engine.calls[0].ids == tuple(first)
    second = tuple(engine.encode(history(prompts()[0].turns, [f" answer {sum(first) % 97}"])))
    assert {call.method for call in engine.calls if call.ids == second} == {"sps", "bild"}
    assert not any(call.method == "as" for call in engine.calls[2:])


def test_every_method_is_warmed_up_at_every_length_before_the_first_sample(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    run(engine, settings, tmp_path)
    warm = engine.calls[2:-SAMPLES]
    lengths = {len(call.ids) for call in engine.calls[-SAMPLES:]}
    short = {(call.method, len(call.ids)) for call in warm if call.options["max_new_tokens"] == 8}
    assert short == {(method, length) for method in METHODS for length in lengths}
    full = {(call.method, len(call.ids)) for call in warm if call.options["max_new_tokens"] == 12}
    assert full == {(method, max(lengths)) for method in METHODS}
    assert read_run(tmp_path)["environment"]["warm_ups"] == len(warm) == 3 * (len(lengths) + 1)


def test_samples_follow_the_plan_back_to_back(engine: FakeEngine, settings: BenchSettings, tmp_path: Path) -> None:
    records = run(engine, settings, tmp_path).records
    for start in range(0, SAMPLES, 3):
        group = records[start : start + 3]
        assert len({(item.prompt_id, item.turn, item.repeat) for item in group}) == 1
        assert {item.method for item in group} == set(METHODS)
    assert len({tuple(item.method for item in records[at : at + 3]) for at in range(0, SAMPLES, 3)}) > 1


def test_methods_share_a_seed_and_prompts_do_not(engine: FakeEngine, settings: BenchSettings, tmp_path: Path) -> None:
    records = run(engine, settings, tmp_path).records
    seeds = {(item.prompt_id, item.turn, item.repeat): item.seed for item in records}
    assert all(item.seed == seeds[(item.prompt_id, item.turn, item.repeat)] for item in records)
    assert len(set(seeds.values())) == len(seeds)


def test_progress_counts_to_its_total_between_samples(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    seen: list[tuple[int, int, str]] = []
    run(engine, settings, tmp_path, progress=lambda *state: seen.append(state))
    assert [done for done, _, _ in seen] == list(range(1, len(engine.calls) + 1))
    assert seen[-1] == (len(engine.calls), len(engine.calls), "repeat 3 of 3")


def test_the_garbage_collector_rests_during_samples_and_comes_back(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    states: list[bool] = []
    run(engine, settings, tmp_path, progress=lambda *state: states.append(gc.isenabled()))
    assert not any(states[-SAMPLES:])
    assert gc.isenabled() and gc.get_freeze_count() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_current_sample(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def progress(done: int, total: int, label: str) -> None:
        if done == total - SAMPLES + 10:
            os.kill(os.getpid(), number)

    result = run(engine, settings, tmp_path, progress=progress)
    assert len(result.records) == 10 == len(read_records(tmp_path))
    assert (result.complete, result.stopped_by) == (False, number.name)
    assert read_end(tmp_path)["complete"] is False
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_during_the_warm_up_leaves_a_run_without_samples(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    def progress(done: int, total: int, label: str) -> None:
        if label == "warming up":
            os.kill(os.getpid(), signal.SIGTERM)

    result = run(engine, settings, tmp_path, progress=progress)
    assert (result.records, result.complete, read_records(tmp_path)) == ((), False, [])


def test_a_signal_before_that_leaves_nothing(engine: FakeEngine, settings: BenchSettings, tmp_path: Path) -> None:
    with pytest.raises(StoppedEarlyError, match="SIGTERM before the first sample"):
        run(engine, settings, tmp_path / "run", progress=lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert not (tmp_path / "run").exists()


def test_the_prompts_are_kept_beside_the_records(engine: FakeEngine, settings: BenchSettings, tmp_path: Path) -> None:
    result = run(engine, settings, tmp_path)
    assert tuple(read_prompts(tmp_path)) == result.prompts == tuple(prompts())
    assert result.environment["prompts_sha256"] == suite_sha256(prompts())


def test_no_prompt_that_fits_is_an_error_before_anything_is_written(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    settings = replace(settings, decoding=DecodingOptions(max_new_tokens=396))
    with pytest.raises(DraftwiseError, match="none of 5 prompts.*'chat-0', turn 1, of 7 tokens.*takes 1 to 4"):
        run(engine, settings, tmp_path / "run")
    assert engine.calls == [] and not (tmp_path / "run").exists()


def test_a_run_without_some_prompts_plans_fewer_samples(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    settings = replace(settings, decoding=DecodingOptions(max_new_tokens=394))
    seen: list[tuple[int, int, str]] = []
    result = run(engine, settings, tmp_path, progress=lambda *state: seen.append(state))
    assert [prompt.id for prompt in result.prompts] == ["qa-0", "qa-1"] == [item.id for item in read_prompts(tmp_path)]
    assert result.complete and result.planned == 2 * 3 * 3 == len(result.records)
    assert [item["id"] for item in result.environment["refused"]] == ["chat-0", "chat-1", "qa-2"]
    assert seen[-1] == (len(engine.calls), len(engine.calls), "repeat 3 of 3")


def test_another_run_is_never_written_over(engine: FakeEngine, settings: BenchSettings, tmp_path: Path) -> None:
    run(engine, settings, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(DraftwiseError, match=r"already holds a run \(run.json\); give another output"):
        run(engine, settings, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_threads_are_set_for_the_run_and_given_back(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    import torch

    before = torch.get_num_threads()
    wanted = 1 if before != 1 else 2
    result = run(engine, replace(settings, threads=wanted), tmp_path)
    assert result.environment["threads"] == wanted and torch.get_num_threads() == before


def test_a_sweep_runs_every_cell_back_to_back_with_its_own_options_and_draft(tmp_path: Path) -> None:
    first, second = FakeEngine(), FakeEngine()
    axes = (Axis("draft", ("a", "b")), Axis("gamma", (2, 8)))
    settings = BenchSettings(
        suite="small",
        draft="a",
        methods=("as", "sps"),
        repeats=1,
        sweep=axes,
        decoding=DecodingOptions(gamma=2, max_new_tokens=12),
    )
    suite = load_suite("small")
    result = run_bench(models(None, a=first, b=second), settings, suite, tmp_path, clock=first.clock)
    labels = [f"sps draft={name} gamma={gamma}" for name in "ab" for gamma in (2, 8)]
    for at in range(0, len(result.records), 5):
        group = result.records[at : at + 5]
        assert sorted(record.method for record in group) == ["as", *labels]
        assert len({(record.prompt_id, record.turn) for record in group}) == 1
    assert len(result.records) == result.planned == 7 * 5
    full = [call for call in second.calls if call.options["max_new_tokens"] == 12]
    assert {(call.method, call.options["gamma"]) for call in full} == {("sps", 2), ("sps", 8)}
    assert {call.method for call in first.calls} == {"as", "sps"}
    assert BenchSettings.from_record(read_run(tmp_path)["settings"]) == settings


def test_what_became_of_prompts_is_told_before_the_warm_up(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    told: list[tuple[str, int]] = []
    settings = replace(settings, decoding=DecodingOptions(max_new_tokens=394))
    run(engine, settings, tmp_path, tell=lambda line: told.append((line, len(engine.calls))))
    reason = "3 of 5 prompts left out; the first is 'chat-0', turn 1, of 7 tokens where 6 have room."
    assert told == [("enough", 0), (reason, 0)]


def test_facts_of_the_caller_are_written_down(engine: FakeEngine, settings: BenchSettings, tmp_path: Path) -> None:
    run(engine, settings, tmp_path, facts={"experiment": {"file": "it.toml"}})
    assert read_run(tmp_path)["environment"]["experiment"] == {"file": "it.toml"}
