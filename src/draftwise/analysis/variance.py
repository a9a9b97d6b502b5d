"""How far a figure scatters: the variance of a mean over prompts that were all measured in the same few sessions.

The model of a sample is x[p, s, r] = truth + prompt[p] + session[s] + prompt by session[p, s] + repeat[p, s, r], each
effect random: a crossed analysis of variance. With P prompts and S sessions the mean has the variance
(MS_prompts + MS_sessions - MS_rest) / (P S), and Satterthwaite's degrees of freedom (Searle, Casella and McCulloch,
Variance Components, 1992, sections 4.3 and 4.5).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOWE = 0.3
"""The part of the squared width that is Howe's; found by simulation with P from 8 to 160, S of 3 and 5 and effects of
all sizes."""

ROUNDING = 1e-12
"""Logs, shares and scores that differ by less are equal."""


class Components(NamedTuple):
    """The variance of a figure.

    Attributes:
        variance: of the figure.
        freedom: its degrees of freedom.
        prompts: the part that the prompts' means scatter by, with ``prompts_freedom``.
        prompts_freedom: its degrees of freedom, 0 where there is a single prompt.
        sessions: the part of the sessions' common moods, with ``sessions_freedom``.
        sessions_freedom: its degrees of freedom, 0 where there is a single session.
        repeats: what of the variance is the noise of repeats; None where no cell has several.
    """

    variance: float
    freedom: float
    prompts: float
    prompts_freedom: int
    sessions: float
    sessions_freedom: int
    repeats: float | None


def quantile_of_t(freedom: float) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def half_width(values: Floats, weights: Floats) -> float | None:
    """Half the width of a mean's 95 % interval.

    Satterthwaite's interval is too narrow where many prompts hide how little a few sessions tell, and Howe's, which
    adds the squares of both parts' own intervals, is too wide; the square of this one lies between theirs.

    Args:
        values: [P, S, R], NaN where one is missing; the mean's influence values.
        weights: [P], a prompt's weight in the mean; they sum to 1.

    Returns:
        None where a single sample leaves the scatter unknown; exactly 0 where all values are equal.
    """
    found = components(values, weights)
    if found is None:
        return None
    width = quantile_of_t(found.freedom) ** 2 * found.variance
    if found.prompts_freedom and found.sessions_freedom:
        parts = ((found.prompts, found.prompts_freedom), (found.sessions, found.sessions_freedom))
        howe = sum(quantile_of_t(freedom) ** 2 * part for part, freedom in parts)
        width = (1 - HOWE) * width + HOWE * howe
    return float(np.sqrt(width))


def components(values: Floats, weights: Floats) -> Components | None:
    """The parts of a mean's variance; None where a single sample leaves them unknown.

    Args:
        values: [P, S, R], NaN where one is missing.
        weights: [P], a prompt's weight in the mean; they sum to 1.
    """
    known = ~np.isnan(values)
    values = values[known.any(axis=(1, 2))][:, known.any(axis=(0, 2))]
    weights = weights[known.any(axis=(1, 2))]
    if known.sum() < 2:
        return None
    counts = (~np.isnan(values)).sum(axis=2)
    cells = _mean(values, counts)
    noise = _repeats(values, cells, counts, weights)
    if _is_rounding(values):
        return Components(0.0, 1.0, 0.0, 0, 0.0, 0, noise)
    if len(values) == 1:
        return _of_one_prompt(values, cells, noise)
    return _crossed(cells, weights, noise)


def _crossed(cells: Floats, weights: Floats, noise: float | None) -> Components:
    """The parts from the means of each prompt in each session: [P, S], NaN where there are none.

    A session that was cut short, with less than half of the prompts of another, says too little of its mood.
    """
    prompts = len(cells)
    known = ~np.isnan(cells)
    means = _mean(cells, known.sum(axis=1))
    prompt_part = float((weights**2 * (means - weights @ means) ** 2).sum()) * prompts / (prompts - 1)
    long = known.sum(axis=0) * 2 >= known.sum(axis=0).max()
    away = (cells - means[:, None])[:, long]
    sessions, here = away.shape[1], known.sum(axis=0)[long]
    freedom = int(here.sum()) - prompts - sessions + 1
    if sessions == 1 or freedom < 1:
        return Components(prompt_part, prompts - 1, prompt_part, prompts - 1, 0.0, 0, noise)
    moods = _mean(away.T, here)
    moods = moods - (here * moods).sum() / here.sum()
    rest = float(np.nansum((away - moods) ** 2)) / freedom
    between = float((here * moods**2).sum()) / (sessions - 1)
    total = here.sum()
    each = (total - (here**2).sum() / total) / (sessions - 1)  # prompts a session, P where none is missing
    scale = float(((here / total) ** 2).sum() / each)
    session_part = max(0.0, between - rest) * scale
    variance = prompt_part + session_part
    spread = prompt_part**2 / (prompts - 1)
    if session_part:
        spread += (between * scale) ** 2 / (sessions - 1) + (rest * scale) ** 2 / freedom
    # A sum of parts can't be known worse than the worst known of them; the difference within it can make it seem so.
    degrees = max(variance**2 / spread, min(prompts, sessions) - 1) if spread else prompts - 1
    return Components(variance, degrees, prompt_part, prompts - 1, session_part, sessions - 1, noise)


def _of_one_prompt(values: Floats, cells: Floats, noise: float | None) -> Components:
    """Sessions tell one from another; a single session's repeats do."""
    several = cells[0] if cells.shape[1] > 1 else values[0, 0][~np.isnan(values[0, 0])]
    part, freedom = float(several.var(ddof=1)) / len(several), len(several) - 1
    return Components(part, freedom, 0.0, 0, part, freedom, noise)


def _repeats(values: Floats, cells: Floats, counts: NDArray[np.int64], weights: Floats) -> float | None:
    """What of the figure's variance is the noise of repeats."""
    freedom = int((counts - 1)[counts > 1].sum())
    if not freedom:
        return None
    within = float(np.nansum((values - cells[..., None]) ** 2)) / freedom
    return within * float((weights**2 / counts.sum(axis=1)).sum())


def _mean(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """The mean over the last axis of what is there, NaN where nothing is."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nansum(values, axis=-1) / counts)


def _is_rounding(values: Floats) -> bool:
    return float(np.nanmax(values) - np.nanmin(values)) <= ROUNDING
