from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import DRAFT, ENVIRONMENT, cell, check, settings, traced

from draftwise.analysis.checks import CheckTable
from draftwise.analysis.costs import Curve, best_gamma, cost_figures, expected_tokens, speedup
from draftwise.bench.records import RoundTrace

OPTIMA = [(0.6, 0.05, 4, 1.92), (0.7, 0.05, 6, 2.35), (0.8, 0.05, 8, 3.09), (0.9, 0.1, 10, 3.43), (0.75, 0.02, 9, 3.2)]
COSTS: dict[str, Any] = {
    "schema": 3,
    "context": 64,
    "target": {"1": 1000, "2": 1100, "3": 1200, "5": 1600},
    "drafts": {DRAFT: {"1": 100, "2": 150}},
    "passes": 9,
}
LABELS = ("as", "as*", "sps", "bild")


def cost(*rounds: RoundTrace, label: str = "sps", costs: dict[str, Any] | None = COSTS, gamma: int = 4) -> Any:
    methods = ENVIRONMENT["methods"] | {"sps": cell("sps", "SPS", gamma=gamma)}
    text = check(method=label, tokens=range(sum(item.emitted for item in rounds)), rounds=rounds)
    groups = [[text]] if rounds else []
    table = CheckTable.of(groups, LABELS, settings(max_new_tokens=99), ENVIRONMENT | {"methods": methods})
    return cost_figures(table, None, label, costs)["cost"]


@pytest.mark.parametrize(("alpha", "c", "gamma", "best"), OPTIMA)
def test_the_optima_of_the_papers_cost_model(alpha: float, c: float, gamma: int, best: float) -> None:
    assert best_gamma(alpha, c) == gamma
    assert speedup(alpha, gamma, c) == pytest.approx(best, abs=0.005)


def test_tokens_of_a_round() -> None:
    assert expected_tokens(0.5, 2) == 1.75
    assert expected_tokens(1.0, 4) == 5
    assert expected_tokens(0.0, 4) == 1


@given(st.floats(0, 1), st.floats(0, 1))
def test_speculation_pays_only_where_acceptance_is_above_the_drafts_cost(alpha: float, c: float) -> None:
    """Leviathan et al. 2023, corollary 3.9; a difference below the rounding of a float shows nothing."""
    if abs(alpha - c) > 1e-9:
        assert (best_gamma(alpha, c, most=8) > 0) == (alpha > c)


def test_a_dearer_wide_pass_shortens_the_best_draft() -> None:
    assert best_gamma(0.8, 0.05, lambda width: 1 + 0.2 * (width - 1)) < best_gamma(0.8, 0.05)
    assert best_gamma(0.3, 0.05, lambda width: width) == 0
    assert best_gamma(0.9, 0.001, most=3) == 3


def test_the_curve_is_straight_between_widths_and_holds_its_last_slope_beyond() -> None:
    curve = Curve.of(COSTS["target"])
    assert curve is not None
    assert [curve.at(width) for width in range(1, 8)] == [1000, 1100, 1200, 1400, 1600, 1800, 2000]


def test_a_falling_or_single_last_width_is_held() -> None:
    falling, single = Curve.of({"1": 10, "4": 8}), Curve.of({"1": 10})
    assert falling is not None and single is not None
    assert (falling.at(9), single.at(3)) == (8, 10)


def test_a_curve_without_its_unit_is_none() -> None:
    assert Curve.of({"2": 10}) is Curve.of({}) is Curve.of(None) is Curve.of({"1": 0}) is None


def test_the_cost_of_the_rounds_that_were_run() -> None:
    """A first round of 2 guesses, 1 + 1 tokens fed; one of 4 guesses, 2 + 1 + 1 + 1 tokens fed; one without a draft."""
    found = cost(traced((5, 6), 2), traced((5, 6, 7, 8), 0), traced((), draft_passes=0))
    assert found["c"] == 0.1
    assert found["v"] == [1, 1.1, 1.2, pytest.approx(1.4), 1.6]
    assert found["verify_cost"] == pytest.approx((1.2 + 1.6 + 1) / 3)
    assert found["draft_cost"] == pytest.approx((0.2 + 0.45) / 3)
    assert found["round_cost"] == found["break_even"] == pytest.approx((3.8 + 0.65) / 3)
    assert found["expected_speedup"] == pytest.approx((5 / 3) / (4.45 / 3))
    assert (found["target_ns"], found["extrapolated_from"], found["gap"]) == (1000, None, None)


def test_a_pass_whose_token_was_thrown_away_is_paid_for() -> None:
    kept, thrown = (cost(traced((5,), 1, draft_passes=passes), traced(), label="bild") for passes in (1, 2))
    assert thrown["draft_cost"] - kept["draft_cost"] == pytest.approx(0.1 / 2)


def test_the_formula_takes_the_chance_of_an_examined_token_and_not_the_rate() -> None:
    """Of 4 and 1 guesses 5 are examined and 4 stand: 0.8, and a rate of 4 / 8."""
    found = cost(traced((5, 6, 7, 8), 4), traced((5, 6, 7, 8), 0))
    expected = expected_tokens(0.8, 4) / (4 * 0.1 + 1.6)
    assert found["formula_speedup"] == pytest.approx(expected)
    assert cost(traced((5,), 1), label="bild")["formula_speedup"] is None
    assert cost(traced())["formula_speedup"] is None


def test_the_formula_is_what_is_expected_where_its_assumptions_hold() -> None:
    """All accepted, every draft full, and two tokens cost a draft what one does."""
    flat = COSTS | {"drafts": {DRAFT: {"1": 100, "2": 100}}}
    found = cost(*[traced((5, 6, 7, 8), 4)] * 3, costs=flat)
    assert found["expected_speedup"] == pytest.approx(found["formula_speedup"])
    assert found["expected_speedup"] == pytest.approx(5 / 2)


@pytest.mark.parametrize(("gamma", "drafted"), [(6, 4), (4, 6), (6, 6)])
def test_widths_beyond_the_curve_are_said(gamma: int, drafted: int) -> None:
    assert cost(traced(range(drafted), 0), gamma=gamma)["extrapolated_from"] == 5


@pytest.mark.parametrize(
    "costs",
    [None, {}, {"target": COSTS["target"]}, COSTS | {"drafts": {"another": {"1": 1, "2": 1}}}]
    + [COSTS | {"drafts": {DRAFT: {"1": 1}}}, COSTS | {"target": {"2": 5}}],
)
def test_without_measured_costs_of_both_models_there_is_none(costs: dict[str, Any] | None) -> None:
    assert cost(traced((5,), 1), costs=costs) is None


def test_plain_decoding_and_a_part_without_rounds_have_none() -> None:
    assert cost(traced(), label="as") is cost(traced(), label="as*") is cost() is None


def test_a_method_that_never_drafts_costs_what_its_passes_do() -> None:
    """Unsure at once, every time: the first round feeds the draft one token, the second two."""
    found = cost(*[traced((), draft_passes=1)] * 2, label="bild")
    assert found["round_cost"] == pytest.approx(1 + (0.1 + 0.15) / 2)
    assert found["expected_speedup"] == pytest.approx(1 / 1.125)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12))
def test_what_is_expected_is_above_1_where_a_pass_gives_more_than_breaks_even(rounds: list[tuple[int, int]]) -> None:
    items = [traced(range(drafted), min(drafted, kept)) for drafted, kept in rounds]
    found = cost(*items)
    length = sum(item.emitted for item in items) / len(items)
    assert found["expected_speedup"] == pytest.approx(length / found["break_even"])
    assert found["round_cost"] >= 1
