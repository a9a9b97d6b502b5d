from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import ENVIRONMENT, check, settings

from draftwise.analysis.checks import CheckTable
from draftwise.analysis.quality import quality_figures
from draftwise.bench.records import Check

LABELS = ("as", "as*", "sps", "bild")


def figures(groups: list[list[Check]], part: str | None = None, **decoding: Any) -> dict[str, dict[str, Any]]:
    return quality_figures(CheckTable.of(groups, LABELS, settings(**decoding), ENVIRONMENT), part)


def pair(prompt: str, first: float | None, second: float | None, **more: Any) -> list[Check]:
    return [check(prompt, "as", score=first, **more), check(prompt, "bild", score=second, **more)]


def test_agreement_is_the_share_of_tasks_with_equal_ids_and_divergence_tells_of_the_others() -> None:
    differing = [(0, 1, 7), (9, 1, 2), (0, 1, 2, 3, 4)]
    groups = [[check(f"p{n}"), check(f"p{n}", "bild", tokens=ids)] for n, ids in enumerate(differing)]
    groups.append([check("p3"), check("p3", "bild")])
    found = figures(groups)
    assert found["bild"]["agreement"] == 1 / 4
    assert found["bild"]["divergence"] == {"share": 3 / 4, "median": 2.0, "earliest": 0}
    assert (found["as"]["agreement"], found["as"]["divergence"]) == (1, None)
    assert (found["sps"]["agreement"], found["sps"]["divergence"]) == (None, None)


def test_each_turn_is_a_task_of_its_own() -> None:
    groups = [[check(turn=turn), check(method="sps", turn=turn, tokens=(turn,) * 20)] for turn in (0, 1)]
    groups[0][1] = check(method="sps")
    assert figures(groups)["sps"]["agreement"] == 1 / 2


def test_at_a_temperature_outputs_are_not_held_against_one_another_but_quality_stands() -> None:
    found = figures([pair("a", 1.0, 0.5), pair("b", 0.5, 0.5)], temperature=1.0)["bild"]
    assert (found["agreement"], found["divergence"]) == (None, None)
    assert (found["quality"], found["quality_change"]) == (0.5, -0.25)


def test_without_plain_decoding_there_is_quality_and_no_comparison() -> None:
    found = figures([[check("a", "sps", score=0.5)]])["sps"]
    assert (found["agreement"], found["quality"], found["quality_change"]) == (None, 0.5, None)


def test_turns_are_averaged_within_the_prompt_before_prompts_are() -> None:
    groups = [pair("a", 1.0, 0.0, turn=0), pair("a", 1.0, 1.0, turn=1), pair("b", 0.0, 1.0)]
    found = figures(groups)
    assert found["as"]["quality"] == 0.5
    assert found["bild"]["quality"] == 0.75  # and not the mean over tasks, 2 / 3
    assert found["bild"]["quality_change"] == 0.25
    assert found["as"]["quality_change"] is None


def test_answers_without_a_reference_count_for_nothing_and_unpaired_ones_enter_no_change() -> None:
    groups = [pair("a", 0.5, 0.25), pair("b", None, None), [check("c", "bild", score=1.0)]]
    found = figures(groups)["bild"]
    assert found["quality"] == pytest.approx(0.625)
    assert found["quality_change"] == pytest.approx(-0.25)
    assert figures([pair("b", None, None)])["bild"]["quality"] is None


def test_a_lossless_method_has_a_change_of_nothing() -> None:
    groups = [[check(f"p{n}", label, score=n / 9) for label in LABELS] for n in range(9)]
    found = figures(groups)
    for label in ("as*", "sps"):
        change = [found[label][f"quality_change{end}"] for end in ("", "_low", "_high")]
        assert change == [0, 0, 0]


def test_the_interval_of_a_paired_change_is_far_narrower_than_that_of_the_quality() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.2, 0.8, 60)
    groups = [pair(f"p{n}", score, score - 0.05 + rng.normal(0, 0.01)) for n, score in enumerate(scores)]
    found = figures(groups)["bild"]
    assert found["quality_change_low"] < found["quality_change"] < found["quality_change_high"] < 0
    assert found["quality_change_low"] > -0.06 and found["quality_change_high"] < -0.04
    assert 0 <= found["quality_low"] < found["quality"] < found["quality_high"] <= 1
    width = found["quality_high"] - found["quality_low"]
    assert width > 5 * (found["quality_change_high"] - found["quality_change_low"])


def test_a_part_is_made_of_its_own_prompts() -> None:
    groups = [pair("a", 1.0, 0.5), pair("b", 0.0, 0.25, subtask="rag")]
    assert figures(groups, "rag")["bild"]["quality_change"] == 0.25
    assert figures(groups, "nowhere")["bild"]["quality"] is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6))
def test_the_change_is_the_difference_of_the_qualities_where_all_are_known(scores: list[tuple[float, float]]) -> None:
    found = figures([pair(f"p{n}", first, second) for n, (first, second) in enumerate(scores)])
    change = found["bild"]["quality"] - found["as"]["quality"]
    assert found["bild"]["quality_change"] == pytest.approx(change, abs=1e-9)
