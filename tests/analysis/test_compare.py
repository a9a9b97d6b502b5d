from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from paired_runs import SPEEDS, Scatter, answers, make_run, simple_run, timed_run, two_subtasks
from synthetic import sample

from draftwise.analysis.compare import compare_runs, run_name, slow_cells, undecided_cells
from draftwise.analysis.run import RunData
from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt

PARTS = ["overall", "qa", "rag"]


def pair_of(*runs: RunData) -> dict[str, Any]:
    (pair,) = compare_runs(runs)["comparisons"]
    return pair  # type: ignore[no-any-return]


def overall(*runs: RunData) -> dict[str, dict[str, Any]]:
    return pair_of(*runs)["parts"]["overall"]  # type: ignore[no-any-return]


def rows(pair: dict[str, Any]) -> list[dict[str, Any]]:
    return [figures for cells in pair["parts"].values() for figures in cells.values()]


def test_a_run_against_itself_shows_no_difference_on_any_row() -> None:
    run = simple_run(0)
    pair = pair_of(run, run)
    assert list(pair["parts"]) == PARTS
    assert len(rows(pair)) == 6
    for figures in rows(pair):
        assert figures["speed_verdict"] == "no difference shown"
        assert figures["speed"] == figures["rate_ratio"] == pytest.approx(1.0)
        assert figures["agreement"] == 1.0
        assert figures["unpaired"] == 0
    assert [figures["speedup_verdict"] for figures in rows(pair)] == [None, "no difference shown"] * 3
    assert pair["differences"] == {"facts": {}, "settings": [], "software": []}
    assert slow_cells(compare_runs([run, run]), "speed", 10) == []


def test_a_single_sample_against_itself_shows_no_difference() -> None:
    prompts = two_subtasks(1)
    run = make_run([sample("qa-0", label) for label in SPEEDS], prompts)
    for figures in rows(pair_of(run, run)):
        assert (figures["speed"], figures["speed_low"]) == (pytest.approx(1.0), None)
        assert figures["speed_verdict"] == "no difference shown"


def test_the_ratio_is_above_one_where_the_later_run_is_faster() -> None:
    found = overall(simple_run(0), simple_run(1, {"as": 1.0, "sps": 2.0}))
    assert found["sps"]["speed"] == pytest.approx(1.25, rel=0.03)
    assert (found["sps"]["speed_verdict"], found["sps"]["speedup_verdict"]) == ("faster", "faster")
    assert found["as"]["speed_verdict"] == "no difference shown"
    assert found["sps"]["rate_ratio"] == pytest.approx(1.25, rel=0.05)


def test_a_prompts_ratio_is_the_mean_over_its_samples_and_the_prompts_count_alike() -> None:
    prompts = two_subtasks(2)
    first = [sample("qa-0", "as", decode_ms=100), sample("rag-0", "as", decode_ms=1000, subtask="rag")]
    second = [sample("qa-0", "as", repeat=r, decode_ms=ms) for r, ms in enumerate((100, 400))]
    second += [sample("rag-0", "as", repeat=r, decode_ms=1000, subtask="rag") for r in range(2)]
    runs = [make_run(samples, prompts, labels=("as",)) for samples in (first, second)]
    parts = pair_of(*runs)["parts"]
    assert parts["qa"]["as"]["speed"] == pytest.approx(0.5)
    assert parts["rag"]["as"]["speed"] == pytest.approx(1.0)
    assert parts["overall"]["as"]["speed"] == pytest.approx(0.5**0.5)
    assert parts["overall"]["as"]["rate_ratio"] == pytest.approx(1100 / 1250)
    assert parts["overall"]["as"]["first_tokens_per_second"] == pytest.approx(40 / 1.1)


def test_a_slower_machine_leaves_the_ratio_of_speedups_alone() -> None:
    found = overall(simple_run(0), simple_run(1, {"as": 0.8, "sps": 1.6 * 0.8}))
    assert [found[label]["speed_verdict"] for label in ("as", "sps")] == ["slower", "slower"]
    assert found["sps"]["speedup"] == pytest.approx(1.0, abs=0.03)
    assert found["sps"]["speedup_verdict"] == "no difference shown"


def test_a_slower_baseline_alone_flatters_the_speedup_and_no_speed() -> None:
    found = overall(simple_run(0), simple_run(1, {"as": 0.8, "sps": 1.6}))
    assert (found["sps"]["speed_verdict"], found["sps"]["speedup_verdict"]) == ("no difference shown", "faster")


@pytest.mark.parametrize("key", ["speed", "speedup"])
def test_intervals_hold_the_true_ratio_of_two_simulated_runs(key: str) -> None:
    """In 100 pairs of runs; test_pairing counts in many more."""
    prompts = two_subtasks(16)
    groups = answers(prompts, tuple(SPEEDS))
    hits = 0
    for trial in range(100):
        runs = []
        for place, speeds in enumerate((SPEEDS, {"as": 1.0, "sps": 1.76})):
            samples = timed_run(speeds, prompts, 2 * trial + place, repeats=2, scatter=Scatter(sessions=0.03))
            runs.append(make_run(samples, prompts, groups=groups))
        figures = overall(*runs)["sps"]
        hits += figures[f"{key}_low"] <= 1.1 <= figures[f"{key}_high"]
    assert 90 <= hits <= 99


def verdicts(slower: float, seeds: Sequence[int]) -> list[str]:
    """The cells that fail at 0.95, for runs whose second has a cell this much slower."""
    found: list[str] = []
    for seed in seeds:
        runs = [simple_run(2 * seed), simple_run(2 * seed + 1, {"as": 1.0, "sps": 1.6 / slower})]
        found += [slow.title for slow in slow_cells(compare_runs(runs), "speed", 0.95)]
    return found


def test_a_cell_that_is_a_tenth_slower_is_caught_and_noise_is_not() -> None:
    assert verdicts(1.10, range(20)) == ["SPS"] * 20
    assert verdicts(1.01, range(20)) == []


def test_a_cell_fails_only_below_the_limit_and_where_it_is_shown() -> None:
    comparison = compare_runs([simple_run(0), simple_run(1, {"as": 1.0, "sps": 1.4})])
    figures = comparison["comparisons"][0]["parts"]["overall"]["sps"]
    (slow,) = slow_cells(comparison, "speed", 0.95)
    assert slow == ("B", "SPS", figures["speed"], figures["speed_low"], figures["speed_high"], "slower")
    assert slow_cells(comparison, "speed", 0.8) == []
    figures["speed_verdict"] = "no difference shown"
    assert slow_cells(comparison, "speed", 0.95) == []


def test_a_cell_whose_interval_reaches_below_the_limit_is_undecided() -> None:
    comparison = compare_runs([simple_run(0), simple_run(1, {"as": 1.0, "sps": 1.4})])
    cells = comparison["comparisons"][0]["parts"]["overall"]
    assert undecided_cells(comparison, "speed", 0.95) == []
    cells["as"]["speed_low"] = 0.94
    assert [cell.title for cell in undecided_cells(comparison, "speed", 0.95)] == ["AS"]
    assert undecided_cells(comparison, "speed", 0.93) == []
    cells["as"]["speed_low"] = None
    assert [cell.title for cell in undecided_cells(comparison, "speed", 0.5)] == ["AS"]


def test_the_speedup_is_judged_where_it_is_asked_for() -> None:
    slower_machine = compare_runs([simple_run(0), simple_run(1, {"as": 0.8, "sps": 1.6 * 0.8})])
    assert [slow.title for slow in slow_cells(slower_machine, "speed", 0.95)] == ["AS", "SPS"]
    assert slow_cells(slower_machine, "speedup", 0.95) == []


def test_a_cell_without_valid_samples_passes_no_check() -> None:
    prompts = two_subtasks(4)
    samples = timed_run(SPEEDS, prompts, 1)
    broken = make_run([item for item in samples if item.method == "as"], prompts, planned=len(samples))
    comparison = compare_runs([simple_run(0, count=4), broken])
    for of, words in (("speed", "no prompt has valid samples of it in"), ("speedup", "beside plain decoding")):
        with pytest.raises(DraftwiseError, match=f"nothing can be said of SPS in B: .*{words}"):
            slow_cells(comparison, of, 0.95)
    assert "B is incomplete: 36 of 72 samples were taken." in comparison["comparisons"][0]["notes"]


def test_three_runs_are_each_held_against_the_first() -> None:
    speeds = ({"as": 1.0, "sps": speed} for speed in (1.6, 2.0, 1.2))
    comparison = compare_runs([simple_run(seed, speed) for seed, speed in enumerate(speeds)])
    assert [run["name"] for run in comparison["runs"]] == ["A", "B", "C"]
    said = [(pair["name"], pair["parts"]["overall"]["sps"]["speed_verdict"]) for pair in comparison["comparisons"]]
    assert said == [("B", "faster"), ("C", "slower")]
    assert [run_name(place) for place in (25, 26)] == ["Z", "run 27"]


def test_cells_that_one_run_has_are_named() -> None:
    pair = pair_of(simple_run(0, {"as": 1.0, "sps": 1.6}), simple_run(1, {"as": 1.0, "bild": 1.8}, repeats=5))
    assert (pair["first_only"], pair["second_only"], list(pair["parts"]["overall"])) == (["sps"], ["bild"], ["as"])
    assert {"Only in A: SPS.", "Only in B: BiLD."} <= set(pair["notes"])
    assert "repeats is 3 in A and 5 in B" in pair["differences"]["settings"]


def test_prompts_that_one_run_has_are_counted_and_left_out() -> None:
    few, many = two_subtasks(6), two_subtasks(8)
    changed = [replace(prompt, turns=("Another?",)) if prompt.id == "qa-0" else prompt for prompt in few]
    first = make_run(timed_run(SPEEDS, many, 0), many)
    second = make_run(timed_run(SPEEDS, changed, 1), changed)
    pair = pair_of(first, second)
    assert pair["prompts"] == {"shared": 5, "first_only": 2, "second_only": 0, "changed": 1, "other_history": 0}
    assert pair["parts"]["overall"]["sps"]["prompts"] == 5
    assert "2 prompts only in A, left out." in pair["notes"]
    assert "1 prompt with the same id and another text in B, left out." in pair["notes"]
    assert "2 prompts only in B, left out." in pair_of(second, first)["notes"]


def test_runs_without_a_common_prompt_or_cell_have_no_comparison() -> None:
    run, other = simple_run(0, {"as": 1.0}, count=2), simple_run(1, {"sps": 1.0}, count=2)
    with pytest.raises(DraftwiseError, match="A and B share no cell"):
        compare_runs([run, other])
    elsewhere = [Prompt("new", "qa", ("Where?",))]
    with pytest.raises(DraftwiseError, match="A and B share no prompt"):
        compare_runs([run, make_run([], elsewhere, labels=("as",))])


def test_a_subtask_that_is_named_overall_does_not_take_the_place_of_the_whole() -> None:
    prompts = [Prompt("a", "overall", ("One?",)), Prompt("b", "qa", ("Two?",))]
    run = make_run(timed_run(SPEEDS, prompts, 0), prompts)
    parts = pair_of(run, run)["parts"]
    assert {part: cells["as"]["prompts"] for part, cells in parts.items()} == {
        "overall": 2,
        "subtask overall": 1,
        "qa": 1,
    }


def test_an_invalid_sample_counts_for_nothing() -> None:
    prompts = two_subtasks(4)
    samples = timed_run(SPEEDS, prompts, 0)
    spoilt = [*samples]
    spoilt[1] = sample("qa-0", "sps", compilations=1, decode_ms=1e6)
    pair = pair_of(make_run(samples, prompts), make_run(spoilt, prompts))
    assert pair["parts"]["overall"]["sps"]["speed"] == pytest.approx(1.0, abs=0.02)
    assert "1 invalid sample of B counted for nothing." in pair["notes"]


def test_turns_are_paired_and_a_repeat_that_lacks_one_is_left_out() -> None:
    prompts = [Prompt("chat-0", "chat", ("One?", "Two?"))]
    first = [sample("chat-0", "as", turn=turn, decode_ms=ms) for turn, ms in enumerate((100, 300))]
    second = [*first, sample("chat-0", "as", turn=0, repeat=1, decode_ms=9000)]
    found = overall(*(make_run(samples, prompts, labels=("as",)) for samples in (first, second)))["as"]
    assert (found["speed"], found["unpaired"]) == (pytest.approx(1.0), 0)
    half = overall(*(make_run(samples, prompts, labels=("as",)) for samples in (first, first[1:])))["as"]
    assert (half["speed"], half["unpaired"], half["first_tokens_per_second"]) == (1.0, 1, pytest.approx(20 / 0.3))


def test_a_history_that_went_another_way_is_told() -> None:
    prompts = [Prompt("chat-0", "chat", ("One?", "Two?"))]
    runs = []
    for length in (9, 12):
        later = sample("chat-0", "as", turn=1)
        runs.append(make_run([sample("chat-0", "as"), _longer(later, length)], prompts, labels=("as",)))
    assert "1 turn with a prompt of another length in B, since what was said before differs." in pair_of(*runs)["notes"]


def _longer(item: Any, length: int) -> Any:
    import msgspec

    return msgspec.structs.replace(item, prompt_tokens=length)


def test_outputs_and_quality_are_held_against_each_other() -> None:
    prompts = two_subtasks(20)
    before = answers(prompts, tuple(SPEEDS), score=0.5)
    after = answers(prompts, tuple(SPEEDS), score=0.4, tokens=(1, 2, 3))
    after[0] = before[0]
    runs = [
        make_run(timed_run(SPEEDS, prompts, seed), prompts, groups=groups) for seed, groups in ((0, before), (1, after))
    ]
    found = overall(*runs)["sps"]
    assert found["agreement"] == pytest.approx(1 / 20)
    assert found["quality_change"] == pytest.approx(-0.1 * 19 / 20)
    assert found["quality_change_low"] < -0.09 < found["quality_change_high"] < 0
    unknown = overall(*runs[:1], simple_run(2, count=20))["sps"]
    assert (unknown["quality_change"], unknown["quality_change_low"]) == (None, None)


def test_what_differs_is_told_by_the_runs_names() -> None:
    other = simple_run(1, environment={"cores": 8, "versions": {"torch": "2"}}, gamma=6)
    first = simple_run(0, environment={"versions": {"torch": "1"}})
    assert pair_of(first, other)["differences"] == {
        "facts": {"hardware": ["cores is 4 in A and 8 in B"]},
        "settings": ["gamma is 4 in A and 6 in B"],
        "software": ["torch is 1 in A and 2 in B"],
    }


def test_a_single_session_is_warned_of() -> None:
    prompts = two_subtasks(4)
    once = make_run(timed_run(SPEEDS, prompts, 0, sessions=1), prompts)
    assert any("--sessions 3" in note for note in pair_of(once, simple_run(1, count=4))["notes"])
    assert not any("--sessions" in note for note in pair_of(*(simple_run(seed, count=4) for seed in (0, 1)))["notes"])


def test_a_comparison_is_strict_json() -> None:
    comparison = compare_runs([simple_run(0, count=4), simple_run(1, count=4)])
    assert json.loads(json.dumps(comparison, allow_nan=False)) == comparison
