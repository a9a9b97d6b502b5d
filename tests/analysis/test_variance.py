from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from draftwise.analysis.variance import components, half_width, quantile_of_t

Floats = NDArray[np.float64]
EFFECTS = (0.1, 0.05, 0.03, 0.04)
"""Standard deviations of prompts, sessions, prompts in sessions and repeats."""


def crossed(shape: tuple[int, int, int], seed: int) -> Floats:
    prompts, sessions, _ = shape
    rng = np.random.default_rng(seed)
    sizes = ((prompts, 1, 1), (1, sessions, 1), (prompts, sessions, 1), shape)
    return sum((rng.normal(0, s, size) for s, size in zip(EFFECTS, sizes, strict=True)), np.zeros(shape))


def even(values: Floats) -> Floats:
    return np.full(len(values), 1 / len(values))


def test_the_parts_sum_to_the_variance_of_the_mean() -> None:
    shape = prompts, sessions, repeats = (30, 12, 3)
    runs = [crossed(shape, seed) for seed in range(300)]
    found = [components(values, even(values)) for values in runs]
    own, common, both, noise = (effect**2 for effect in EFFECTS)
    truth = own / prompts + common / sessions + (both + noise / repeats) / (prompts * sessions)
    assert np.mean([part.variance for part in found if part]) == pytest.approx(truth, rel=0.05)
    assert np.var([values.mean() for values in runs]) == pytest.approx(truth, rel=0.2)
    assert np.mean([part.sessions for part in found if part]) == pytest.approx(common / sessions, rel=0.06)
    expected = noise / (prompts * sessions * repeats)
    assert np.mean([part.repeats or 0 for part in found if part]) == pytest.approx(expected, rel=0.02)


def test_without_sessions_the_width_is_student_s() -> None:
    values = crossed((15, 1, 3), 0)
    means = values.mean(axis=(1, 2))
    width = quantile_of_t(14) * means.std(ddof=1) / np.sqrt(15)
    assert half_width(values, even(values)) == pytest.approx(width)


def test_where_sessions_are_all_that_differs_the_width_is_student_s_over_sessions() -> None:
    moods = np.asarray([1.0, 2.0, 4.0])
    values = np.broadcast_to(moods[None, :, None], (20, 3, 2)) + np.random.default_rng(0).normal(0, 1e-4, (20, 3, 2))
    width = quantile_of_t(2) * moods.std(ddof=1) / np.sqrt(3)
    assert half_width(values, even(values)) == pytest.approx(width, rel=1e-3)


def test_a_heavy_prompt_weighs_more() -> None:
    values = np.asarray([0.0, 0.0, 0.0, 1.0]).reshape(4, 1, 1)
    light, heavy = np.asarray([0.3, 0.3, 0.3, 0.1]), np.asarray([0.1, 0.1, 0.1, 0.7])
    assert (half_width(values, light) or 0) < (half_width(values, heavy) or 0)


def test_sessions_that_share_no_prompt_can_not_be_told_from_prompts() -> None:
    values = np.full((4, 2, 2), np.nan)
    values[:2, 0], values[2:, 1] = [[1, 2], [3, 4]], [[5, 6], [7, 8]]
    found = components(values, even(values))
    assert found is not None and (found.sessions, found.sessions_freedom) == (0.0, 0)
    assert found.variance == pytest.approx(np.var([1.5, 3.5, 5.5, 7.5], ddof=1) / 4)


def test_a_session_cut_short_says_nothing_of_moods() -> None:
    values = crossed((20, 3, 2), 1)
    values[1:, 2] = np.nan
    cut, short = components(values, even(values)), components(values[:, :2], even(values))
    assert cut is not None and short is not None
    assert cut.sessions_freedom == short.sessions_freedom == 1
    assert cut.sessions == pytest.approx(short.sessions, rel=0.1)


def test_degrees_of_freedom_stay_between_the_worst_known_part_s_and_all_of_them() -> None:
    for seed in range(200):
        found = components(values := crossed((6, 3, 2), seed), even(values))
        assert found is not None and 2 <= found.freedom <= 7


def test_one_value_says_nothing_of_scatter_and_equal_ones_have_none() -> None:
    assert components(np.ones((1, 1, 1)), np.ones(1)) is None
    assert half_width(np.full((3, 1, 1), np.nan), np.ones(3)) is None
    assert half_width(np.ones((3, 2, 2)), np.full(3, 1 / 3)) == 0
