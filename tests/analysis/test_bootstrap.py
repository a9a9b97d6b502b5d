from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from draftwise.analysis import bootstrap
from draftwise.analysis.bootstrap import NOTHING, Resampling, repeats_needed, verdict

Floats = NDArray[np.float64]
NAN = np.nan


def grid(*prompts: list[list[float]]) -> Floats:
    """[P, S, R] from sessions of repeats, by prompt."""
    return np.asarray(prompts, np.float64)


def draws(values: Floats, seed: int = 0) -> Resampling:
    prompts, sessions, repeats = values.shape
    return Resampling((prompts, sessions, repeats), seed)


def noise(shape: tuple[int, int, int], scale: float = 0.1) -> Floats:
    return np.random.default_rng(0).normal(0, scale, shape)


def test_a_mean_is_over_prompts_of_the_mean_of_their_samples() -> None:
    values = grid([[1.0, 3.0]], [[10.0, NAN]])
    assert draws(values).mean(values).value == pytest.approx(6.0)


def test_a_geometric_mean_is_the_exponential_of_the_mean_log() -> None:
    logs = np.log(grid([[2.0, 8.0]], [[1.0, 1.0]]))
    assert draws(logs).geometric_mean(logs).value == pytest.approx(2.0)


def test_a_rate_is_sum_by_sum_of_the_samples_that_have_both() -> None:
    counts, seconds = grid([[10.0, 10.0]], [[60.0, 99.0]]), grid([[1.0, 3.0]], [[2.0, NAN]])
    assert draws(counts).rate(counts, seconds).value == pytest.approx(80 / 6)


def test_a_ratio_of_rates_takes_the_samples_that_have_all_four() -> None:
    counts, seconds = grid([[10.0]], [[20.0]], [[40.0]]), grid([[1.0]], [[1.0]], [[2.0]])
    base = grid([[2.0]], [[4.0]], [[NAN]])
    assert draws(counts).rate_ratio(counts, seconds, counts, base).value == pytest.approx(3.0)


def test_nothing_gives_nothing() -> None:
    for values in (np.zeros((0, 0, 0)), np.full((3, 1, 2), NAN)):
        assert draws(values).mean(values) == draws(values).geometric_mean(values) == NOTHING
        assert draws(values).rate(values, values) == NOTHING
        assert draws(values).rate_ratio(values, values, values, values) == NOTHING


def test_a_single_sample_has_a_value_and_no_interval() -> None:
    value = grid([[NAN, 4.0]])
    assert draws(value).mean(value) == (4.0, None, None)
    assert draws(value).rate(value, value * 2) == (0.5, None, None)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -1 / 3])
def test_values_that_are_all_equal_give_an_interval_of_no_width(value: float) -> None:
    logs = np.full((7, 3, 3), value)
    assert draws(logs).mean(logs) == (value, value, value)
    assert draws(logs).geometric_mean(logs) == (np.exp(value),) * 3


def test_a_run_compared_with_itself_is_one_exactly() -> None:
    counts, seconds = np.round(np.exp(noise((11, 3, 2))) * 50), np.exp(noise((11, 3, 2), 0.5))
    seconds[2, 1, 0] = NAN
    assert draws(counts).rate_ratio(counts, seconds, counts, seconds) == (1.0, 1.0, 1.0)


def test_a_constant_rate_has_no_width() -> None:
    counts = np.exp(noise((11, 1, 2)))
    found = draws(counts).rate(counts, counts / 3)
    assert found == pytest.approx((3.0, 3.0, 3.0)) and found.low == found.high == found.value


def test_the_seed_gives_the_interval_again() -> None:
    values = np.exp(noise((20, 1, 3), 1.0))
    assert draws(values, 1).mean(values) == draws(values, 1).mean(values) != draws(values, 2).mean(values)


def test_an_interval_holds_its_value_and_shrinks_with_more_prompts() -> None:
    widths = []
    for prompts in (5, 20, 80):
        values = noise((prompts, 1, 3))
        found = draws(values).mean(values)
        assert found.low < found.value < found.high  # type: ignore[operator]
        widths.append(found.high - found.low)  # type: ignore[operator]
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


def test_sessions_or_repeats_alone_give_an_interval_to_a_single_prompt() -> None:
    for shape in ((1, 1, 4), (1, 4, 1)):
        values = np.arange(1.0, 5.0).reshape(shape)
        found = draws(values).mean(values)
        # Student's interval of 1, 2, 3, 4 with 3 degrees of freedom.
        assert found == pytest.approx((2.5, 2.5 - 2.0540, 2.5 + 2.0540), abs=1e-3)


def test_what_can_not_be_is_cut_off() -> None:
    scores = grid(*([[1.0]] for _ in range(9)), [[0.0]])
    found = draws(scores).mean(scores, within=(0.0, 1.0))
    assert found.value == pytest.approx(0.9) and found.high == 1.0 and 0.5 < found.low < 0.8  # type: ignore[operator]


def test_a_long_tail_lengthens_the_interval_on_its_own_side() -> None:
    values = np.exp(noise((200, 1, 1), 1.5))
    found = draws(values).mean(values)
    assert found.high - found.value > 1.05 * (found.value - found.low)  # type: ignore[operator]


def test_a_missing_sample_changes_an_interval_little() -> None:
    values = noise((20, 3, 3))
    whole = draws(values).mean(values)
    values[3, 1, 2] = NAN
    values[5, 2] = NAN
    assert draws(values).mean(values) == pytest.approx(whole, abs=0.01)


def test_many_prompts_are_drawn_as_wholes_and_give_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    logs, tokens = noise((300, 2, 2)), np.full((300, 2, 2), 30.0)
    few = draws(logs).geometric_mean(logs), draws(logs).rate(tokens, np.exp(logs))
    monkeypatch.setattr(bootstrap, "BUDGET", 300 * 500)
    many = draws(logs).geometric_mean(logs), draws(logs).rate(tokens, np.exp(logs))
    assert many != few
    for one, other in zip(few, many, strict=True):
        assert one == pytest.approx(other, rel=2e-3)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1.01, 1.2, "faster"),
        (0.8, 0.99, "slower"),
        (0.9, 1.1, "no difference shown"),
        (1.0, 1.0, "no difference shown"),
        (None, None, None),
    ],
)
def test_a_verdict_says_what_an_interval_shows(low: float | None, high: float | None, said: str | None) -> None:
    assert verdict(low, high) == said


def test_repeats_are_asked_for_only_where_they_help() -> None:
    noisy, varied = noise((50, 1, 3), 0.5), noise((50, 1, 3), 0.01) + 10 * (np.arange(50) % 2)[:, None, None]
    assert 3 < (repeats_needed(noisy, 0.05) or 0) < 20
    assert repeats_needed(varied, 0.05) is None
    assert repeats_needed(noisy[:, :, :1], 0.05) is None
    assert repeats_needed(np.zeros((0, 0, 0)), 0.05) is None


def test_the_repeats_that_are_asked_for_do() -> None:
    rng = np.random.default_rng(3)
    few = rng.normal(0, 0.1, (80, 1, 3))
    needed = repeats_needed(few, 0.01) or 0
    assert needed > 3
    more = rng.normal(0, 0.1, (80, 1, needed))
    found = draws(more).geometric_mean(more)
    assert (found.high - found.low) / 2 == pytest.approx(0.01, rel=0.3)  # type: ignore[operator]
