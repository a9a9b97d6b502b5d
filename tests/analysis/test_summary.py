"""What a whole run says: the parts joined, runs on the disk, and runs that lack something."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from paired_runs import answers, make_run
from synthetic import ENVIRONMENT, check, questions, sample, settings, timed

from draftwise.analysis.run import load_run
from draftwise.analysis.summary import MOST_INVALID, summarize, write_summary
from draftwise.bench.records import CHECKS, RECORDS, to_line
from draftwise.bench.store import RunStore, write_end
from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt, prompts_to_lines, suite_sha256

COSTS = {"context": 9, "passes": 9, "target": {"1": 5e6, "2": 5.5e6}, "drafts": {"small": {"1": 1e6, "2": 1.1e6}}}
TOP = {
    "schema",
    "complete",
    "stopped_by",
    "samples",
    "planned_samples",
    "settings",
    "environment",
    "overall",
    "subtasks",
    "invalid",
    "invalid_count",
    "costs",
    "best",
    "explanations",
    "warnings",
}
NESTED = ("acceptance", "time", "cost", "divergence")
SPREAD = (
    "tokens_per_second",
    "end_to_end_tokens_per_second",
    "speedup",
    "end_to_end_speedup",
    "speedup_total",
    "quality",
    "quality_change",
)


def small(speeds: dict[str, float] | None = None, prompts: int = 5, **options: Any) -> dict[str, Any]:
    speeds = speeds or {"as": 1.0, "sps": 2.0}
    return summarize(make_run(timed(speeds, prompts, 3, 0), questions(prompts), labels=tuple(speeds), **options))


def test_a_summary_has_exactly_these_parts_and_every_cell_the_same_figures() -> None:
    found = summarize(replace(make_run(timed({"as": 1, "sps": 2}, 5, 3, 0), questions(5)), costs=COSTS))
    assert found.keys() == TOP
    assert found["overall"].keys() == {"as", "sps"} and found["subtasks"].keys() == {"qa"}
    figures = [*found["overall"].values(), *found["subtasks"]["qa"].values()]
    assert len({frozenset(own) for own in figures}) == 1
    for own in figures:
        assert {key for name in SPREAD for key in (name, f"{name}_low", f"{name}_high")} | set(NESTED) <= own.keys()
    sps = found["overall"]["sps"]
    assert sps["cost"]["gap"] == pytest.approx(sps["speedup"] / sps["cost"]["expected_speedup"])
    assert found["explanations"].keys() == {"overall", "qa"}
    assert found["explanations"]["overall"].keys() == {"sps"} and found["explanations"]["qa"]["sps"].startswith("SPS ")
    json.dumps(found, allow_nan=False)


def test_a_small_run_by_hand() -> None:
    """Two prompts, one of which SPS answers otherwise; plain decoding takes 100 and 200 ms, SPS half of that."""
    prompts = questions(2)
    samples = [
        sample("qa-0", "as", decode_ms=100, prefill_ms=100),
        sample("qa-0", "sps", decode_ms=50, prefill_ms=150),
        sample("qa-1", "as", decode_ms=200, prefill_ms=0),
        sample("qa-1", "sps", decode_ms=100, prefill_ms=0, tokens=range(7, 27), width=4),
    ]
    groups = [
        [check("qa-0", "as", score=1.0), check("qa-0", "sps", score=1.0)],
        [check("qa-1", "as", score=0.5), check("qa-1", "sps", tokens=range(7, 27), width=4, score=0.0)],
    ]
    found = summarize(make_run(samples, prompts, groups=groups, repeats=1))["overall"]
    plain, sps = found["as"], found["sps"]
    assert plain["tokens_per_second"] == pytest.approx(40 / 0.3)
    assert plain["end_to_end_tokens_per_second"] == pytest.approx(40 / 0.4)
    assert [plain[key] for key in ("speedup", "speedup_low", "speedup_high", "speedup_total")] == [1, 1, 1, 1]
    assert plain["bandwidth_share"] == pytest.approx(40 / 0.3 / 1000)
    assert (plain["acceptance_length"], plain["acceptance_rate"], plain["agreement"]) == (1, None, 1)
    assert sps["speedup"] == pytest.approx(2) and sps["speedup_total"] == pytest.approx(2)
    assert sps["end_to_end_speedup"] == pytest.approx(2**0.5)
    assert sps["acceptance_length"] == pytest.approx(40 / 15)
    assert sps["acceptance_length_by_request"] == pytest.approx(3)
    assert (sps["agreement"], sps["quality"], sps["quality_change"]) == (0.5, 0.5, -0.25)
    assert sps["divergence"] == {"share": 0.5, "median": 0, "earliest": 0}


def test_without_plain_decoding_nothing_is_compared() -> None:
    figures = small({"sps": 2.0})["overall"]["sps"]
    assert figures["tokens_per_second"] > 0
    assert [figures[key] for key in ("speedup", "speedup_total", "agreement", "unpaired", "verdict")] == [None] * 5


def test_a_run_without_samples_or_checks_gives_nulls() -> None:
    found = summarize(make_run([], questions(5), groups=[], planned=30))
    assert (found["complete"], found["samples"], found["planned_samples"]) == (False, 0, 30)
    assert found["overall"]["sps"]["tokens_per_second"] is None and found["overall"]["sps"]["samples"] == 0
    json.dumps(found, allow_nan=False)


def test_a_run_that_was_stopped_within_the_check_pass_tells_what_was_checked() -> None:
    found = summarize(make_run([], questions(5), groups=answers(questions(2), ("as", "sps")), planned=30))
    assert found["overall"]["sps"]["acceptance_length"] == 2 and found["overall"]["sps"]["speedup"] is None


def test_agreement_has_no_meaning_when_tokens_are_drawn() -> None:
    assert small(temperature=1.0)["overall"]["sps"]["agreement"] is None


def test_a_planted_cheat_enters_no_figure_of_speed() -> None:
    honest = timed({"as": 1, "sps": 2}, 5, 3, 0)
    cheat = msgspec.structs.replace(honest[1], new_tokens=tuple(range(29_904)), decode_ns=1000)
    before = summarize(make_run(honest[:1] + honest[2:], questions(5)))
    found = summarize(make_run([honest[0], cheat, *honest[2:]], questions(5)))
    assert found["overall"]["sps"]["invalid"] == found["invalid_count"] == 1
    assert found["invalid"][0]["reason"] == "29904 new tokens, and the limit is 30"
    for name in ("tokens_per_second", "speedup", "speedup_total", "new_tokens", "seconds", "bandwidth_share"):
        assert found["overall"]["sps"][name] == before["overall"]["sps"][name]


def test_many_invalid_samples_are_counted_and_some_listed() -> None:
    spoilt = [msgspec.structs.replace(item, total_ns=1) for item in timed({"as": 1, "sps": 2}, 40, 3, 0)]
    found = summarize(make_run(spoilt, questions(40)))
    assert (len(found["invalid"]), found["invalid_count"]) == (MOST_INVALID, 240)


def test_a_rate_above_what_memory_allows_stops_the_summary() -> None:
    fast = [
        msgspec.structs.replace(item, decode_ns=1000, ttft_ns=item.prefill_ns) for item in timed({"as": 1}, 5, 3, 0)
    ]
    with pytest.raises(DraftwiseError, match="as: 20,000,000 tokens/s cannot be"):
        summarize(make_run(fast, questions(5), labels=("as",)))


def test_the_faster_measurement_of_memory_is_the_limit() -> None:
    slow = ENVIRONMENT | {"bandwidth": 1e9}
    with pytest.raises(DraftwiseError):
        small({"as": 1.0}, environment=slow)
    found = small({"as": 1.0}, environment=slow | {"after": {"bandwidth": 30e9}})
    assert 0.1 < found["overall"]["as"]["bandwidth_share"] < 0.5


def store(directory: Path, prompts: list[Prompt], **settings_of: Any) -> RunStore:
    chosen = replace(settings(), **settings_of)
    environment = ENVIRONMENT | {"prompts_sha256": suite_sha256(prompts)}
    header = {"settings": chosen.to_record(), "environment": environment, "planned": 30}
    return RunStore.create(directory, header, prompts, {(prompt.id, 0): [1] for prompt in prompts})


def test_a_run_on_the_disk_is_summarized_and_the_summary_written(tmp_path: Path) -> None:
    prompts, samples = questions(5), timed({"as": 1, "sps": 2}, 5, 3, 0)
    store(tmp_path, prompts)
    groups = answers(prompts, ("as", "sps"))
    (tmp_path / CHECKS).write_bytes(b"".join(to_line(item) for group in groups for item in group))
    (tmp_path / RECORDS).write_bytes(b"".join(map(to_line, samples)) + b'{"schema":3,"torn')
    killed = summarize(load_run(tmp_path))
    assert killed["overall"] == summarize(make_run(samples, prompts))["overall"]
    assert killed["complete"] and list(load_run(tmp_path).check_groups()) == groups
    write_end(tmp_path, {"environment": {"bandwidth": 60e9}, "stopped_by": "SIGINT"})
    ended = summarize(load_run(tmp_path))
    assert ended["stopped_by"] == "SIGINT"
    assert ended["overall"]["as"]["bandwidth_share"] == pytest.approx(killed["overall"]["as"]["bandwidth_share"] / 2)
    assert json.loads(write_summary(tmp_path, ended).read_text()) == ended


def test_a_run_needs_its_own_prompts_and_neither_suite_nor_data(tmp_path: Path) -> None:
    prompts = questions(5, "poetry")
    store(tmp_path, prompts, suite="file", data="gone.jsonl", subtasks=("poetry",))
    assert list(summarize(load_run(tmp_path))["subtasks"]) == ["poetry"]
    (tmp_path / "prompts.jsonl").write_text("\n".join(prompts_to_lines(questions(4, "poetry"))))
    with pytest.raises(DraftwiseError, match="prompts.jsonl was changed"):
        load_run(tmp_path)
    (tmp_path / "prompts.jsonl").unlink()
    with pytest.raises(DraftwiseError, match="prompts.jsonl cannot be read"):
        load_run(tmp_path)
