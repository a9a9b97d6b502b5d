"""Rule 4: 95 % intervals over prompts, then repeats; a difference within its interval is called noise.

tests/analysis/test_coverage.py holds the intervals to 93–97 % in all designs, and naive ones to less; here a small
version of it runs through the whole analysis.
"""

from __future__ import annotations

import numpy as np
import pytest
from bed import settings, warnings_of
from numpy.typing import NDArray
from paired_runs import make_run
from synthetic import ENVIRONMENT, questions, timed

from draftwise.analysis.frame import frame_of
from draftwise.analysis.speeds import speed_figures
from draftwise.analysis.summary import summarize

TRUE, PROMPTS, REPEATS = 1.5, 12, 3
EXPERIMENTS = 80


def logs_of(seed: int) -> NDArray[np.float64]:
    """The log ratios of a simulated run, [P, R], the way ``honest`` sees them."""
    samples = timed({"as": 1, "sps": TRUE}, PROMPTS, REPEATS, seed)
    times = np.array([item.decode_ns for item in samples]).reshape(REPEATS, PROMPTS, 2)
    return np.asarray(np.log(times[:, :, 0] / times[:, :, 1]).T)


def honest(seed: int) -> tuple[float, float]:
    frame = frame_of(timed({"as": 1, "sps": TRUE}, PROMPTS, REPEATS, seed), {}, ("as", "sps"), 30)
    own = speed_figures(frame, frame.rows(), settings(("as", "sps")), ENVIRONMENT, {})["sps"]
    return own["speedup_low"], own["speedup_high"]


def samples_for_prompts(seed: int) -> tuple[float, float]:
    """Planted: every sample counts as if it were a prompt of its own."""
    logs = logs_of(seed).ravel()
    half = 1.96 * logs.std(ddof=1) / len(logs) ** 0.5
    return float(np.exp(logs.mean() - half)), float(np.exp(logs.mean() + half))


def repeats_alone(seed: int) -> tuple[float, float]:
    """Planted: the scatter of repeats of the same few prompts, as a benchmark of one total a repeat would give."""
    totals = logs_of(seed).mean(axis=0)
    half = 4.3 * totals.std(ddof=1) / REPEATS**0.5
    return float(np.exp(totals.mean() - half)), float(np.exp(totals.mean() + half))


def test_intervals_hold_the_truth_and_naive_ones_do_not() -> None:
    def share(interval: object) -> float:
        spans = [interval(seed) for seed in range(EXPERIMENTS)]  # type: ignore[operator]
        return sum(low <= TRUE <= high for low, high in spans) / EXPERIMENTS

    assert share(honest) >= 0.9
    assert share(samples_for_prompts) <= 0.82
    assert share(repeats_alone) <= 0.6


@pytest.mark.parametrize(
    ("speed", "scatter", "verdict"),
    [(1.02, 0.1, "no difference shown"), (1.3, 0.1, "faster"), (0.7, 0.1, "slower"), (1.3, 1.5, "no difference shown")],
)
def test_a_difference_is_called_what_its_interval_shows(speed: float, scatter: float, verdict: str) -> None:
    samples = timed({"as": 1, "sps": speed}, 20, 3, 1, scatter=scatter)
    run = make_run(samples, questions(20))
    figures = summarize(run)["overall"]["sps"]
    assert figures["verdict"] == verdict
    assert (figures["speedup_low"] <= 1 <= figures["speedup_high"]) == (verdict == "no difference shown")
    assert ("the difference from AS is noise" in warnings_of(run)) == (verdict == "no difference shown")


def test_a_single_prompt_once_measured_has_no_interval_and_no_verdict() -> None:
    figures = summarize(make_run(timed({"as": 1, "sps": 3}, 1, 1, 0), questions(1)))["overall"]["sps"]
    assert figures["speedup"] > 2 and figures["speedup_low"] is None and figures["verdict"] is None
