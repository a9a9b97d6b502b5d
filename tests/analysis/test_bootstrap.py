from __future__ import annotations

import numpy as np
import pytest

from draftwise.analysis.bootstrap import Estimate, estimate, make_cells, mean_ratio, rate, repeats_needed

SAMPLES = [("a", 0, (10.0, 1.0)), ("a", 1, (10.0, 3.0)), ("b", 0, (30.0, 1.0)), ("b", 0, (30.0, 1.0))]


def test_cells_sum_the_turns_of_a_prompt_in_a_repeat() -> None:
    cells = make_cells(SAMPLES)
    assert cells.counts.tolist() == [2, 1]
    assert cells.values.tolist() == [[[10, 1], [10, 3]], [[60, 2], [0, 0]]]


def test_a_rate_is_sum_by_sum() -> None:
    assert estimate(make_cells(SAMPLES), rate, seed=0).value == pytest.approx(80 / 6)


def test_a_ratio_is_the_geometric_mean_over_prompts_of_the_mean_over_repeats() -> None:
    cells = make_cells([("a", 0, (np.log(2), 1)), ("a", 1, (np.log(8), 1)), ("b", 0, (0.0, 1))])
    assert estimate(cells, mean_ratio, seed=0).value == pytest.approx(2.0)


def test_nothing_gives_nothing() -> None:
    assert estimate(make_cells([]), rate, seed=0) == Estimate(None, None, None)


def test_the_seed_gives_the_interval_again() -> None:
    cells = make_cells([(str(n), 0, (float(n + 1), 1.0)) for n in range(20)])
    assert estimate(cells, rate, seed=1) == estimate(cells, rate, seed=1) != estimate(cells, rate, seed=2)


def test_repeats_alone_give_an_interval_to_a_single_prompt() -> None:
    cells = make_cells([("a", repeat, (1.0, 1.0 + repeat)) for repeat in range(3)])
    found = estimate(cells, rate, seed=0)
    assert found.low is not None and found.low < 0.5 < found.high  # type: ignore[operator]


def test_a_prompt_with_fewer_repeats_never_lends_the_zeros_behind_them() -> None:
    cells = make_cells([("a", 0, (2.0, 1.0)), ("b", 0, (2.0, 1.0)), ("b", 1, (2.0, 1.0)), ("b", 2, (2.0, 1.0))])
    assert estimate(cells, rate, seed=0) == pytest.approx((2.0, 2.0, 2.0))
    assert estimate(cells, mean_ratio, seed=0) == pytest.approx((np.exp(2.0),) * 3)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits, trials = 0, 300
    for trial in range(trials):
        logs = np.log(1.5) + rng.normal(0, 0.2, 40)[:, None] + rng.normal(0, 0.1, (40, 3))
        cells = make_cells([(str(p), r, (logs[p, r], 1)) for p in range(40) for r in range(3)])
        found = estimate(cells, mean_ratio, seed=trial, resamples=400)
        hits += found.low <= 1.5 <= found.high  # type: ignore[operator]
    assert 0.89 <= hits / trials <= 0.98


def test_an_interval_that_takes_samples_for_prompts_would_cover_too_seldom() -> None:
    rng = np.random.default_rng(0)
    hits, trials = 0, 300
    for trial in range(trials):
        logs = np.log(1.5) + rng.normal(0, 0.2, 40)[:, None] + rng.normal(0, 0.02, (40, 3))
        cells = make_cells([(f"{p}-{r}", 0, (logs[p, r], 1)) for p in range(40) for r in range(3)])
        found = estimate(cells, mean_ratio, seed=trial, resamples=400)
        hits += found.low <= 1.5 <= found.high  # type: ignore[operator]
    assert hits / trials < 0.85


def test_repeats_are_asked_for_only_where_they_help() -> None:
    rng = np.random.default_rng(0)
    noisy = [(str(p), r, (rng.normal(0, 0.5), 1)) for p in range(50) for r in range(3)]
    assert 3 < (repeats_needed(make_cells(noisy), 0.05) or 0) < 20
    varied = [(str(p), r, (10 * (p % 2) + rng.normal(0, 0.01), 1)) for p in range(50) for r in range(3)]
    assert repeats_needed(make_cells(varied), 0.05) is None
    assert repeats_needed(make_cells([("a", 0, (1.0, 1)), ("b", 0, (1.0, 1))]), 0.05) is None
    assert repeats_needed(make_cells([]), 0.05) is None
