from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import ENVIRONMENT, questions, record, settings, timed

from draftwise.analysis.summary import summarize, summarize_run, write_summary
from draftwise.bench.records import RunWriter, write_end
from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt, prompts_to_lines, suite_sha256

KEYS = {
    "tokens_per_second",
    "tokens_per_second_low",
    "tokens_per_second_high",
    "speedup",
    "speedup_low",
    "speedup_high",
    "acceptance_length",
    "acceptance_rate",
    "agreement",
    "quality",
    "new_tokens",
    "seconds",
}
EXTRA = {
    "end_to_end_tokens_per_second",
    "end_to_end_tokens_per_second_low",
    "end_to_end_tokens_per_second_high",
    "end_to_end_speedup",
    "end_to_end_speedup_low",
    "end_to_end_speedup_high",
    "speedup_total",
    "acceptance_length_by_request",
    "ttft_seconds",
    "bandwidth_share",
    "samples",
    "invalid",
    "unpaired",
    "outliers",
    "far_outliers",
}


def test_a_summary_has_exactly_these_keys() -> None:
    found = summarize(timed({"as": 1, "sps": 2}, 5, 3, 0), questions(5), settings(), ENVIRONMENT)
    assert found.keys() == {
        "schema",
        "complete",
        "samples",
        "planned_samples",
        "settings",
        "environment",
        "overall",
        "subtasks",
        "invalid",
        "best",
        "warnings",
    }
    assert found["overall"].keys() == {"as", "sps"} and found["subtasks"].keys() == {"qa"}
    for figures in (*found["overall"].values(), *found["subtasks"]["qa"].values()):
        assert figures.keys() == KEYS | EXTRA
    json.dumps(found, allow_nan=False)


def test_every_figure_of_a_small_run_by_hand() -> None:
    records = [
        record("qa-0", "as", order=0, decode_ms=100, prefill_ms=100),
        record("qa-0", "sps", order=1, decode_ms=50, prefill_ms=150, tokens=range(20)),
        record("qa-1", "as", order=2, decode_ms=200, prefill_ms=0, text=" wrong"),
        record("qa-1", "sps", order=3, decode_ms=100, prefill_ms=0, tokens=range(7, 27), text=" wrong", width=4),
    ]
    found = summarize(records, questions(2), settings(repeats=1), ENVIRONMENT)["overall"]
    plain, sps = found["as"], found["sps"]
    assert plain["tokens_per_second"] == pytest.approx(40 / 0.3)
    assert (plain["new_tokens"], plain["seconds"]) == (40, pytest.approx(0.3))
    assert plain["end_to_end_tokens_per_second"] == pytest.approx(40 / 0.4)
    assert [plain[key] for key in ("speedup", "speedup_low", "speedup_high", "speedup_total")] == [1, 1, 1, 1]
    assert plain["acceptance_length"] == 1 and plain["acceptance_rate"] is None and plain["agreement"] == 1
    assert plain["bandwidth_share"] == pytest.approx(40 / 0.3 / 1000)
    assert plain["ttft_seconds"] == pytest.approx((0.105 + 0.01) / 2)
    assert sps["speedup"] == pytest.approx(2) and sps["speedup_total"] == pytest.approx(2)
    assert sps["end_to_end_speedup"] == pytest.approx(2**0.5)
    assert sps["acceptance_length"] == pytest.approx(40 / 15)
    assert sps["acceptance_length_by_request"] == pytest.approx(3)
    assert sps["acceptance_rate"] == pytest.approx(25 / 25)
    assert (sps["agreement"], sps["quality"]) == (0.5, 0.5)


def test_without_plain_decoding_nothing_is_compared() -> None:
    found = summarize(timed({"sps": 2}, 5, 3, 0), questions(5), settings(("sps",)), ENVIRONMENT)
    figures = found["overall"]["sps"]
    assert figures["tokens_per_second"] > 0
    assert [figures[key] for key in ("speedup", "speedup_total", "agreement", "unpaired")] == [None] * 4


def test_no_samples_give_nulls() -> None:
    found = summarize([], questions(5), settings(), ENVIRONMENT)
    assert (found["complete"], found["samples"], found["planned_samples"]) == (False, 0, 30)
    assert found["overall"]["sps"]["tokens_per_second"] is None and found["overall"]["sps"]["samples"] == 0
    json.dumps(found, allow_nan=False)


def test_agreement_has_no_meaning_when_tokens_are_drawn() -> None:
    records = timed({"as": 1, "sps": 2}, 5, 3, 0)
    assert (
        summarize(records, questions(5), settings(temperature=1.0), ENVIRONMENT)["overall"]["sps"]["agreement"] is None
    )


def test_quality_has_no_value_without_references() -> None:
    prompts = [Prompt(f"qa-{n}", "qa", ("Where?",)) for n in range(5)]
    found = summarize(timed({"as": 1, "sps": 2}, 5, 3, 0), prompts, settings(), ENVIRONMENT)
    assert found["overall"]["as"]["quality"] is None


def test_a_method_against_itself_is_one_within_its_interval() -> None:
    outside = 0
    for seed in range(20):
        records = timed({"as": 1}, 40, 3, seed, noise=0.1)
        again = [
            replace(item, method="sps", decode_ns=other.decode_ns, ttft_ns=other.ttft_ns, total_ns=other.total_ns)
            for item, other in zip(records, timed({"as": 1}, 40, 3, seed + 1000, noise=0.1), strict=True)
        ]
        figures = summarize([*records, *again], questions(40), settings(), ENVIRONMENT)["overall"]["sps"]
        outside += not figures["speedup_low"] <= 1 <= figures["speedup_high"]
    assert outside <= 3


def test_a_speedup_lies_in_its_interval_and_above_one() -> None:
    found = summarize(timed({"as": 1, "sps": 1.5}, 60, 3, 0), questions(60), settings(), ENVIRONMENT)
    figures = found["overall"]["sps"]
    assert 1 < figures["speedup_low"] < 1.5 < figures["speedup_high"] < 2
    assert figures["tokens_per_second_low"] < figures["tokens_per_second"] < figures["tokens_per_second_high"]


def test_a_short_run_says_so_and_leaves_incomplete_pairs_out() -> None:
    records = timed({"as": 1, "sps": 2}, 5, 3, 0)[:-1]
    found = summarize(records, questions(5), settings(), ENVIRONMENT)
    assert (found["complete"], found["samples"], found["planned_samples"]) == (False, 29, 30)
    assert found["overall"]["sps"]["unpaired"] == 1
    assert found["warnings"][0] == "The run is incomplete: 29 of 30 samples were taken."


def test_a_planted_cheat_enters_no_figure() -> None:
    honest = timed({"as": 1, "sps": 2}, 5, 3, 0)
    cheat = replace(honest[1], new_tokens=tuple(range(29_904)), decode_ns=1000, text=" cheat")
    before = summarize(honest[:1] + honest[2:], questions(5), settings(), ENVIRONMENT)
    found = summarize([honest[0], cheat, *honest[2:]], questions(5), settings(), ENVIRONMENT)
    assert found["overall"]["sps"]["invalid"] == 1
    assert found["invalid"][0]["reason"] == "29904 new tokens, and the limit is 30"
    for key in KEYS:
        assert found["overall"]["sps"][key] == before["overall"]["sps"][key]


def test_a_rate_above_what_memory_allows_stops_the_summary() -> None:
    records = [replace(item, decode_ns=1000) for item in timed({"as": 1}, 5, 3, 0)]
    with pytest.raises(DraftwiseError, match="as: 20,000,000 tokens/s cannot be"):
        summarize(records, questions(5), settings(("as",)), ENVIRONMENT)


def test_the_faster_measurement_of_memory_is_the_limit() -> None:
    records = timed({"as": 1}, 5, 3, 0)
    slow = ENVIRONMENT | {"bandwidth": 1e9}
    with pytest.raises(DraftwiseError):
        summarize(records, questions(5), settings(("as",)), slow)
    found = summarize(records, questions(5), settings(("as",)), slow | {"after": {"bandwidth": 30e9}})
    assert 0.1 < found["overall"]["as"]["bandwidth_share"] < 0.5


def test_the_turns_of_a_prompt_are_scored_each_for_itself() -> None:
    prompts = [Prompt("m", "multi-turn", ("a", "b"), ("x", "y"), (("red",), ("blue",)))]
    records = [
        record("m", "as", turn=0, order=0, subtask="multi-turn", text=" red"),
        record("m", "as", turn=1, order=1, subtask="multi-turn", text=" red"),
    ]
    found = summarize(records, prompts, settings(("as",), repeats=1), ENVIRONMENT)
    assert found["overall"]["as"]["quality"] == 0.5 and found["complete"]


def test_a_run_on_the_disk_is_summarized_and_the_summary_written(tmp_path: Path) -> None:
    prompts, records = questions(5), timed({"as": 1, "sps": 2}, 5, 3, 0)
    environment = ENVIRONMENT | {"prompts_sha256": suite_sha256(prompts)}
    with RunWriter(tmp_path, {"settings": settings().to_record(), "environment": environment}, prompts) as writer:
        for item in records:
            writer.add(item)
    killed = summarize_run(tmp_path)
    assert killed["overall"] == summarize(records, prompts, settings(), environment)["overall"]
    write_end(tmp_path, {"environment": {"bandwidth": 60e9}})
    ended = summarize_run(tmp_path)
    assert ended["overall"]["as"]["bandwidth_share"] == pytest.approx(killed["overall"]["as"]["bandwidth_share"] / 2)
    assert json.loads(write_summary(tmp_path, ended).read_text()) == ended


def test_a_run_needs_its_own_prompts_and_neither_suite_nor_data(tmp_path: Path) -> None:
    prompts = questions(5, "poetry")
    chosen = replace(settings(), suite="file", data="gone.jsonl", subtasks=("poetry",))
    environment = ENVIRONMENT | {"prompts_sha256": suite_sha256(prompts)}
    with RunWriter(tmp_path, {"settings": chosen.to_record(), "environment": environment}, prompts):
        pass
    assert list(summarize_run(tmp_path)["subtasks"]) == ["poetry"]
    (tmp_path / "prompts.jsonl").write_text("\n".join(prompts_to_lines(questions(4, "poetry"))))
    with pytest.raises(DraftwiseError, match="prompts.jsonl was changed"):
        summarize_run(tmp_path)
    (tmp_path / "prompts.jsonl").unlink()
    with pytest.raises(DraftwiseError, match="prompts.jsonl cannot be read"):
        summarize_run(tmp_path)
