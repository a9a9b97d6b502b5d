from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from draftwise.analysis.bootstrap import Resampling
from draftwise.analysis.pairing import Floats, contrast, mean_over, over_turns, shared_prompts
from draftwise.tasks import Prompt

Sizes = tuple[int, int]
Scatter = tuple[float, float, float]


def two_runs(rng: np.random.Generator, prompts: int, sessions: Sizes, repeats: Sizes, scatter: Scatter) -> list[Floats]:
    """Log times of two runs whose means differ by 0.1 in truth; a prompt's own change, moods and noise scatter."""
    hard, change = rng.normal(0, 0.3, prompts), rng.normal(0.1, scatter[0], prompts)
    return [
        (hard + place * change)[:, None, None]
        + rng.normal(0, scatter[1], sessions[place])[:, None]
        + rng.normal(0, scatter[2], (prompts, sessions[place], repeats[place]))
        for place in (1, 0)
    ]


def coverage(
    sessions: Sizes, scatter: Scatter, *, prompts: int = 24, combine: Callable[[Floats, Floats], Floats] = contrast
) -> float:
    """How many of 400 intervals hold the true difference."""
    rng, hits = np.random.default_rng(5), 0
    for _ in range(400):
        values = combine(*two_runs(rng, prompts, sessions, (3, 2), scatter))
        found = Resampling(values.shape, seed=0, resamples=400).mean(values)  # type: ignore[arg-type]
        assert found.low is not None and found.high is not None
        hits += found.low <= 0.1 <= found.high
    return hits / 400


@pytest.mark.parametrize("prompts", [8, 24, 80])
@pytest.mark.parametrize("sessions", [(3, 3), (3, 5), (2, 2)])
@pytest.mark.parametrize("scatter", [(0.05, 0.03, 0.02), (0.05, 0.01, 0.02), (0.05, 0.0, 0.05)])
def test_an_interval_holds_the_true_difference_as_often_as_it_says(
    prompts: int, sessions: Sizes, scatter: Scatter
) -> None:
    assert 0.93 <= coverage(sessions, scatter, prompts=prompts) <= 0.975


def test_very_different_numbers_of_sessions_err_on_the_safe_side() -> None:
    assert coverage((2, 6), (0.05, 0.03, 0.02)) >= 0.95


def test_one_session_each_serves_where_sessions_do_not_scatter() -> None:
    assert 0.93 <= coverage((1, 1), (0.05, 0.0, 0.02)) <= 0.97
    assert coverage((1, 1), (0.05, 0.03, 0.02)) < 0.8


def test_an_interval_blind_to_sessions_would_hold_it_too_seldom() -> None:
    def blind(upper: Floats, lower: Floats) -> Floats:
        return (mean_over(upper, (1, 2)) - mean_over(lower, (1, 2)))[:, None, None]

    assert coverage((3, 3), (0.05, 0.03, 0.02), combine=blind) < 0.85


def test_an_interval_that_took_both_runs_sessions_for_one_runs_would_be_too_wide_or_narrow() -> None:
    """Sessions that lie around the difference as they lie around their own mean, without the spread."""

    def plain(upper: Floats, lower: Floats) -> Floats:
        cells = [mean_over(side, 2) for side in (upper, lower)]
        means = [side.mean(axis=1)[:, None] for side in cells]
        around = [side - mean for side, mean in zip(cells, means, strict=True)]
        return np.concatenate([means[0] - means[1] + part for part in around], axis=1)[:, :, None]

    assert coverage((3, 3), (0.02, 0.03, 0.02), combine=plain) < 0.85


def test_the_mean_is_the_difference_of_the_means_whatever_the_sizes() -> None:
    upper, lower = two_runs(np.random.default_rng(0), 5, (3, 5), (3, 2), (0.05, 0.03, 0.02))
    upper[0, 1] = np.nan
    lower[1, 2, 0] = np.nan
    values = contrast(upper, lower)
    assert values.shape == (5, 8, 1)
    expected = [[_mean([_mean(session) for session in prompt]) for prompt in side] for side in (upper, lower)]
    found = [_mean(prompt[:, 0]) for prompt in values]
    assert found == pytest.approx(np.subtract(*expected))


def _mean(values: Sequence[float] | Floats) -> float:
    known = [value for value in values if not np.isnan(value)]
    return sum(known) / len(known) if known else float("nan")


def test_a_run_against_itself_has_the_mean_zero_and_scatters_still() -> None:
    run, _ = two_runs(np.random.default_rng(0), 5, (3, 3), (3, 3), (0.05, 0.03, 0.02))
    values = contrast(run, run)
    assert values.mean() == pytest.approx(0, abs=1e-12)
    assert values.std() > 0.01


def test_repeats_take_the_part_of_sessions_where_there_is_one_prompt_and_one_session() -> None:
    values = contrast(np.array([[[1.0, 3.0]]]), np.array([[[0.0, 0.0, 0.0]]]))
    assert values.shape == (1, 5, 1)
    assert values.mean() == pytest.approx(2.0)
    assert contrast(np.ones((1, 1, 1)), np.zeros((1, 1, 1))).tolist() == [[[1.0]]]


def test_sessions_without_samples_are_none() -> None:
    upper, lower = np.ones((2, 3, 1)), np.zeros((2, 2, 1))
    upper[:, 1:] = np.nan
    assert contrast(upper, lower).shape == (2, 2, 1)


def test_a_prompt_that_one_run_lacks_has_no_difference() -> None:
    upper, lower = two_runs(np.random.default_rng(0), 3, (2, 2), (1, 1), (0.05, 0.03, 0.02))
    upper[1] = np.nan
    assert np.isnan(contrast(upper, lower)).any(axis=(1, 2)).tolist() == [False, True, False]


def test_a_repeat_without_one_of_the_turns_is_left_out() -> None:
    values = np.array([[[[1.0, 1.0]], [[3.0, np.nan]]]])  # [1, 2 turns, 1, 2 repeats]
    both, first = np.array([[True, True]]), np.array([[True, False]])
    assert over_turns(values, both)[0, 0].tolist() == [2.0, pytest.approx(np.nan, nan_ok=True)]
    assert over_turns(values, first)[0, 0].tolist() == [1.0, 1.0]
    assert np.isnan(over_turns(values, np.array([[False, False]]))).all()


def test_prompts_are_shared_by_their_id_and_text() -> None:
    first = [Prompt("a", "qa", ("One?",)), Prompt("b", "qa", ("Two?", "Three?")), Prompt("c", "rag", ("Four?",))]
    second = [Prompt("c", "law", ("Four?",)), Prompt("a", "qa", ("Another?",)), Prompt("d", "qa", ("Five?",))]
    assert shared_prompts(first, second) == (("c",), ("rag",), 1, 1, 1, 1)
    assert shared_prompts(first, first)[:3] == (("a", "b", "c"), ("qa", "qa", "rag"), 2)
