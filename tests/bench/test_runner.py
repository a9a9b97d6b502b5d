"""A run from its settings to its last sample: what it leaves, and in which order it measures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import METHODS, MS, PASS, SAMPLES, TASKS, FakeEngine, groups, models, prompts

from draftwise.bench import BenchSettings
from draftwise.bench.records import read_checks, read_samples
from draftwise.bench.runner import RunResult, run_bench
from draftwise.bench.settings import Axis
from draftwise.bench.store import read_optional, read_prompts, read_run
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions
from draftwise.tasks import history, load_suite, suite_sha256


def run(engine: FakeEngine, settings: BenchSettings, directory: Path, **more: object) -> RunResult:
    suite = load_suite(settings.source, settings.subtasks, settings.limit)
    return run_bench(lambda: models(engine), settings, suite, directory, clock=engine.clock, **more)  # type: ignore[arg-type]


def test_a_run_leaves_its_settings_checks_samples_and_end(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    result = run(engine, settings, tmp_path / "run")
    header, end = read_run(tmp_path / "run"), read_optional(tmp_path / "run" / "end.json")
    assert BenchSettings.from_record(header["settings"]) == settings
    assert header["planned"] == SAMPLES == end["samples"] == result.samples == result.planned
    assert (end["complete"], result.complete, result.stopped_by) == (True, True, None)
    assert [item.order for item in read_samples(tmp_path / "run")] == list(range(SAMPLES))
    assert len(list(read_checks(tmp_path / "run"))) == TASKS
    assert {"command", "revision", "versions", "sha256", "cpu", "cores", "threads"} <= header["environment"].keys()
    assert end["environment"]["load_average"] and end["environment"]["when"] == "end"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checks.jsonl",
        "costs.json",
        "end.json",
        "inputs.jsonl",
        "prompts.jsonl",
        "records.jsonl",
        "run.json",
        "sessions.jsonl",
    ]


def test_times_and_tokens_are_written_as_the_engine_and_the_clock_gave_them(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    run(engine, settings, tmp_path)
    sample = next(item for item in read_samples(tmp_path) if item.method == "sps")
    assert (sample.prefill_ns, sample.ttft_ns) == (5 * MS, 5 * MS + PASS["sps"])
    assert (sample.passes, sample.compilations, sample.decode_ns) == (6, 0, 6 * PASS["sps"])
    assert sample.total_ns == 5 * MS + sample.decode_ns
    assert len(sample.new_tokens) == 12
    line = json.loads((tmp_path / "records.jsonl").read_text().splitlines()[sample.order])
    assert line["schema"] == 3 and line["new_tokens"] == list(sample.new_tokens)


def test_a_check_holds_the_answer_its_score_and_every_round(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    run(engine, settings, tmp_path)
    for group in read_checks(tmp_path):
        assert [check.method for check in group] == list(METHODS)
        assert all("".join(check.pieces) == check.text for check in group)
    plain, speculative, _ = group
    assert (plain.prompt_id, plain.turn, plain.score) == ("chat-1", 1, 1.0)
    assert [item.emitted for item in plain.rounds] == [1] * 12 and plain.rounds[0].draft == ()
    assert [item.emitted for item in speculative.rounds] == [2] * 6
    assert speculative.rounds[0] == ((7,), 1, 2, 1, 1, 2, 3, 4, 5)


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


def test_samples_follow_the_plan_back_to_back(engine: FakeEngine, settings: BenchSettings, tmp_path: Path) -> None:
    run(engine, settings, tmp_path)
    found = groups(list(read_samples(tmp_path)))
    assert len(found) == TASKS * 3
    assert all({item.method for item in group} == set(METHODS) for group in found)
    assert len({tuple(item.method for item in group) for group in found}) > 1


def test_a_task_has_one_seed_in_all_methods_repeats_and_checks_and_no_other_has_it(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    run(engine, settings, tmp_path)
    checks = [check for group in read_checks(tmp_path) for check in group]
    seeds = {((item.prompt_id, item.turn), item.seed) for item in [*read_samples(tmp_path), *checks]}
    assert len(seeds) == len(dict(seeds)) == len({seed for _, seed in seeds}) == TASKS
    first_answers = {call.ids: call.seed for call in engine.calls[:2]}
    assert all(call.seed == first_answers[call.ids] for call in engine.calls[-SAMPLES:] if call.ids in first_answers)


def test_the_prompts_are_kept_beside_the_records(engine: FakeEngine, settings: BenchSettings, tmp_path: Path) -> None:
    run(engine, settings, tmp_path)
    assert read_prompts(tmp_path) == prompts()
    assert read_run(tmp_path)["environment"]["prompts_sha256"] == suite_sha256(prompts())


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
    assert [prompt.id for prompt in read_prompts(tmp_path)] == ["qa-0", "qa-1"]
    assert result.complete and result.planned == 2 * 3 * 3 == len(list(read_samples(tmp_path)))
    assert [item["id"] for item in read_run(tmp_path)["environment"]["refused"]] == ["chat-0", "chat-1", "qa-2"]
    assert seen[-1] == (len(engine.calls), len(engine.calls), "repeat 3 of 3")


def test_threads_are_set_for_the_run_and_given_back(
    engine: FakeEngine, settings: BenchSettings, tmp_path: Path
) -> None:
    import torch

    before = torch.get_num_threads()
    wanted = 1 if before != 1 else 2
    run(engine, replace(settings, threads=wanted), tmp_path)
    assert read_run(tmp_path)["environment"]["threads"] == wanted and torch.get_num_threads() == before


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
    pair = models(None, a=first, b=second)
    result = run_bench(lambda: pair, settings, load_suite("small"), tmp_path, clock=first.clock)
    labels = [f"sps draft={name} gamma={gamma}" for name in "ab" for gamma in (2, 8)]
    found = groups(list(read_samples(tmp_path)))
    assert all(sorted(item.method for item in group) == ["as", *labels] for group in found)
    assert len(found) == TASKS and result.samples == result.planned == TASKS * 5
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
