from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draftwise.analysis.explain import explain, speed_gap

TIME = {"draft": 0.2, "verify": 0.7, "judge": 0.04, "engine": 0.05, "wait": 0.01, "round_ns": 1400.0}
COST = {"draft_cost": 0.3, "verify_cost": 1.0, "target_ns": 1000.0}


def figures(
    speedup: float | None = None,
    low: float | None = None,
    high: float | None = None,
    *,
    length: float = 2.0,
    needed: float | None = 1.3,
    time: dict[str, float] | None = TIME,
    drafted: bool = True,
    agreement: float | None = 1.0,
    change: tuple[float | None, float | None, float | None] = (0.0, 0.0, 0.0),
) -> dict[str, Any]:
    cost = needed and COST | {"break_even": needed, "round_cost": needed, "expected_speedup": length / needed}
    return {
        "speedup": speedup,
        "speedup_low": low,
        "speedup_high": high,
        "acceptance_length": length,
        "acceptance": {"length": length} if drafted else None,
        "cost": cost,
        "time": time,
        "agreement": agreement,
        "quality_change": change[0],
        "quality_change_low": change[1],
        "quality_change_high": change[2],
    }


def said(*speed: float | None, title: str = "SPS", **more: Any) -> str | None:
    return explain(title, figures(*speed, **more))


def test_where_speculation_loses() -> None:
    assert said(0.8, 0.75, 0.85, length=1.7, needed=2.1) == (
        "SPS loses here: 1.7 tokens a pass, 2.1 needed to break even."
    )


def test_where_no_answer_was_looked_at_nothing_is_said_of_its_drafts() -> None:
    found = figures(1.5, 1.4, 1.6, drafted=False, needed=None, agreement=None) | {"acceptance_length": None}
    found |= {"quality_change": None}
    assert explain("SPS", found) == "SPS gains 1.50×; no answer was looked at that would say why."


def test_a_change_of_quality_within_its_interval_is_called_noise() -> None:
    said_so = str(said(1.5, 1.4, 1.6, agreement=0.9, change=(-0.05, -0.12, 0.02)))
    assert said_so.endswith("score 0.050 less than those of AS (-0.120 to +0.020), which is noise.")
    assert "noise" not in str(said(1.5, 1.4, 1.6, agreement=0.9, change=(-0.05, -0.12, -0.01)))


def test_where_it_gains_less_than_its_passes_allow() -> None:
    assert said(1.4, 1.35, 1.45) == (
        "SPS gains 1.40×; its acceptance and costs allow 1.54×: 9 % of a round goes to the engine and the judge."
    )


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"wait": 0.3, "verify": 0.41}, "30 % of a round goes to waiting for a processor"),
        ({"draft": 0.4, "verify": 0.5}, "19 % of a round goes to drafting beyond what its passes take alone"),
        ({"draft": 0.02, "verify": 0.88}, "17 % of a round goes to verifying beyond what its passes take alone"),
        ({"engine": 0.004, "judge": 0.0, "wait": 0.0, "verify": 0.7}, "no part of the traced rounds says where the"),
    ],
)
def test_the_gap_goes_to_the_largest_part_that_is_no_pass(changed: dict[str, float], name: str) -> None:
    assert name in str(said(1.4, 1.35, 1.45, time=TIME | changed))


def test_where_it_loses_for_all_its_acceptance() -> None:
    assert said(0.9, 0.85, 0.95) == (
        "SPS loses here, 0.90×, with 2.0 tokens a pass where 1.3 would break even: "
        "9 % of a round goes to the engine and the judge."
    )
    assert said(0.9, 0.85, 0.95, time=None) == (
        "SPS loses here, 0.90×, with 2.0 tokens a pass where 1.3 would break even: "
        "no round was traced to say where the rest goes."
    )


def test_where_the_interval_holds_what_was_expected() -> None:
    assert said(1.5, 1.4, 1.6) == (
        "SPS gains 1.50×; the 1.54× that its acceptance and costs allow lies within the interval."
    )


def test_where_it_is_faster_than_expected() -> None:
    assert said(1.7, 1.6, 1.8) == "SPS gains 1.70×, more than the 1.54× that its acceptance and costs let expect."
    assert said(1.1, 1.05, 1.15, length=1.2) == (
        "SPS gains 1.10×, more than the 0.92× that its acceptance and costs let expect."
    )


def test_where_no_difference_is_shown() -> None:
    assert said(1.0, 0.96, 1.04, length=1.3) == (
        "SPS shows no difference from AS (0.96× to 1.04×): 1.3 tokens a pass, 1.3 needed to break even."
    )
    assert said(1.0, 0.96, 1.04) == (
        "SPS shows no difference from AS (0.96× to 1.04×); its acceptance and costs allow 1.54×: "
        "9 % of a round goes to the engine and the judge."
    )
    assert said(1.0, 0.96, 1.04, length=1.0) == (
        "SPS shows no difference from AS (0.96× to 1.04×), "
        "more than the 0.77× that its acceptance and costs let expect."
    )


def test_without_an_interval_nothing_is_claimed() -> None:
    assert said(1.5) == (
        "SPS measured 1.50×, without an interval, where its acceptance and costs allow 1.54×: "
        "2.0 tokens a pass, 1.3 needed to break even."
    )


def test_without_costs_only_what_was_measured_is_said() -> None:
    assert said(1.5, 1.4, 1.6, needed=None) == (
        "SPS gains 1.50× with 2.0 tokens a pass; what its passes cost was not measured."
    )
    assert said(0.5, 0.4, 0.6, needed=None) == (
        "SPS loses here: 0.50× with 2.0 tokens a pass; what its passes cost was not measured."
    )


def test_what_drafts_nothing() -> None:
    none = {"drafted": False, "needed": None, "length": 1.0, "title": "AS*"}
    assert said(1.0, 0.99, 1.01, **none) == "AS* drafted nothing here: no difference from AS is shown (0.99× to 1.01×)."
    assert said(1.03, 1.02, 1.04, **none) == "AS* drafted nothing here: 1.03×."
    assert said(1.03, **none) == "AS* drafted nothing here: 1.03×, without an interval."
    unsure = {"drafted": False, "length": 1.0, "title": "BiLD"}
    assert said(0.8, 0.7, 0.9, **unsure) == (
        "BiLD kept no drafted token here, and its draft passes took 0.30 of a target pass a round: 0.80×."
    )


def test_what_was_not_timed() -> None:
    assert said() == (
        "SPS was not timed against AS; its acceptance and costs allow 1.54×: "
        "2.0 tokens a pass, 1.3 needed to break even."
    )
    assert said(needed=None) is said(drafted=False) is explain("SPS", {}) is None


def test_a_speed_with_other_answers_than_plain_decodings_is_told_with_their_worth() -> None:
    start = "SPS gains 1.50× with 2.0 tokens a pass; what its passes cost was not measured"
    more = {"needed": None, "agreement": 0.4}
    assert said(1.5, 1.4, 1.6, change=(-0.02, -0.03, -0.01), **more) == (
        f"{start}; its answers score 0.020 less than those of AS (-0.030 to -0.010)."
    )
    assert said(1.5, 1.4, 1.6, change=(0.02, None, None), **more) == (
        f"{start}; its answers score 0.020 more than those of AS."
    )
    assert said(1.5, 1.4, 1.6, change=(0.0, -0.01, 0.01), **more) == (
        f"{start}; its answers score as those of AS do (-0.010 to +0.010)."
    )
    assert said(1.5, 1.4, 1.6, change=(None, None, None), **more) == (
        f"{start}; nothing says what its different answers are worth."
    )
    sampled = {"needed": None, "agreement": None}
    assert said(1.5, 1.4, 1.6, change=(None, None, None), **sampled) == f"{start}."
    assert "score 0.020 less" in str(said(1.5, 1.4, 1.6, change=(-0.02, -0.03, -0.01), **sampled))


def test_numbers_that_are_told_apart_are_written_apart() -> None:
    assert said(0.98, 0.97, 0.99, length=2.04, needed=2.06) == (
        "SPS loses here: 2.0 tokens a pass, 2.1 needed to break even."
    )
    assert "2.041 tokens a pass, 2.042 needed" in str(said(0.98, 0.97, 0.99, length=2.041, needed=2.042))
    assert "allow 1.5385×" in str(said(1.4, 1.35, 1.5384))


def test_the_gap_is_the_measured_by_the_expected_speed() -> None:
    assert speed_gap(figures(1.0, length=2.6)) == pytest.approx(0.5)
    assert speed_gap(figures()) is speed_gap(figures(1.5, needed=None)) is speed_gap({}) is None


SHARES = st.lists(st.floats(0.001, 1), min_size=5, max_size=5)
RATIOS = st.floats(0.05, 20)


@given(RATIOS, st.floats(0, 0.5), st.floats(0, 0.5), st.floats(1, 9), st.floats(1, 9), SHARES, st.floats(100, 9000))
def test_whatever_the_figures_the_sentence_is_one_and_true(
    speedup: float, down: float, up: float, length: float, needed: float, parts: list[float], total: float
) -> None:
    names = ("draft", "verify", "judge", "engine", "wait")
    time = {name: part / sum(parts) for name, part in zip(names, parts, strict=True)} | {"round_ns": total}
    low, high = speedup * (1 - down), speedup * (1 + up)
    sentence = str(said(speedup, low, high, length=length, needed=needed, time=time))
    assert sentence.startswith("SPS ") and sentence.endswith(".") and "\n" not in sentence
    assert ("loses" in sentence) == (high < 1)
    assert ("gains" in sentence) == (low > 1)
    assert ("no difference" in sentence) == (low <= 1 <= high)
    if "needed to break even" in sentence and high < 1:
        assert length < needed
    if "more than the" in sentence:
        assert length / needed < low
    if "costs allow" in sentence and "within the interval" not in sentence:
        assert length / needed > high
    if "would break even" in sentence:
        assert length >= needed
    if found := re.search(r"(\d+) % of a round", sentence):
        assert 1 <= int(found[1]) <= 100
