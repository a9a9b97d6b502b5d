"""95 % intervals by a bootstrap over prompts, then sessions, then repeats, as wide as an analysis of variance says.

Prompts are drawn as wholes, sessions once for all prompts (the mood of a process is common to them), then the repeats
of each. Drawn so, the figures have the right shape and the wrong width: few prompts scatter too little, and repeats
drawn below drawn prompts count their noise twice. So the draws tell how far an interval reaches up compared with how
far down, and ``variance.half_width`` how wide it is. tests/analysis/test_coverage.py holds the intervals to 95 %.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from draftwise.analysis.variance import Floats, components, half_width, quantile_of_t

RESAMPLES = 2000
LEAST_RESAMPLES = 400
BUDGET = 6_000_000
"""The most counts that are kept for all draws together, as far as ``LEAST_RESAMPLES`` allow; they take 4 bytes each."""

TRUSTED = 40
"""With so many prompts half of the skew that the draws show is believed; found by simulation with heavy noise on both
sides of a ratio and with rare changes of quality."""

Verdict = Literal["faster", "slower", "no difference shown"]


class Estimate(NamedTuple):
    """A figure and its 95 % interval.

    All are None where there is nothing to estimate from, and the bounds alone where a single sample says nothing of its
    scatter.
    """

    value: float | None
    low: float | None
    high: float | None


NOTHING = Estimate(None, None, None)


def named(name: str, found: Estimate) -> dict[str, float | None]:
    """An estimate as figures of a summary: the value under its name, the bounds behind ``_low`` and ``_high``."""
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


class Resampling:
    """One set of draws, shared by all figures over one set of prompts.

    Every figure takes its samples as an array [P, S, R] of prompts, sessions and repeats, NaN where one is missing.
    Many prompts are drawn without their sessions and repeats, and fewer times, as so many give a normal figure.
    """

    def __init__(self, shape: tuple[int, int, int], seed: int, resamples: int = RESAMPLES) -> None:
        """Say what to draw.

        Args:
            shape: P, S and R.
            seed: the same seed gives the same intervals.
            resamples: the most draws.
        """
        self.shape, self.seed, self.resamples = shape, seed, resamples
        self._prompts_only = shape[0] * shape[1] * shape[2] * resamples > BUDGET

    def mean(self, values: Floats, within: tuple[float, float] = (-np.inf, np.inf)) -> Estimate:
        """The mean over prompts of a prompt's mean over its samples; the interval is cut at what can be."""
        known = ~np.isnan(values)
        counts = known.sum(axis=(1, 2))
        if not counts.any():
            return NOTHING
        weights = (counts > 0) / (counts > 0).sum()
        share = known * (weights / np.maximum(counts, 1))[:, None, None]
        one = values[known][0]
        value = float(one + np.where(known, values - one, 0.0).ravel() @ share.ravel())
        away = np.where(known, values - value, 0.0)
        top, below = self._sums(away * share, share)
        with np.errstate(invalid="ignore", divide="ignore"):
            down, up = _reach(top / (1 + below), len(values))
        half = half_width(np.where(known, away, np.nan), weights)
        if half is None:
            return Estimate(value, None, None)
        return Estimate(value, max(within[0], value - half * down), min(within[1], value + half * up))

    def geometric_mean(self, logs: Floats) -> Estimate:
        """The exponential of the mean of the logs."""
        return Estimate(*(None if part is None else float(np.exp(part)) for part in self.mean(logs)))

    def rate(self, counts: Floats, seconds: Floats) -> Estimate:
        """The sum of the counts by that of the seconds, over the samples that have both."""
        return self._ratio((counts, seconds))

    def rate_ratio(self, counts: Floats, seconds: Floats, base_counts: Floats, base_seconds: Floats) -> Estimate:
        """One rate by another, over the samples that have all four."""
        return self._ratio((counts, seconds), (base_counts, base_seconds))

    def _ratio(self, *rates: tuple[Floats, Floats]) -> Estimate:
        """One rate, or the first of two by the second, on the scale of logs."""
        terms, signs = np.stack([values for rate in rates for values in rate]), (1, -1, -1, 1)
        known = np.asarray(~np.isnan(terms).any(axis=0))
        number = int(known.sum())
        if not number:
            return NOTHING
        terms = np.where(known, terms, 0.0)
        totals = terms.sum(axis=(1, 2, 3))
        found = totals[0::2] / totals[1::2]
        value = float(found[0] / found[1] if len(found) > 1 else found[0])
        parts = terms / totals[:, None, None, None]
        signed = list(zip(signs, parts, strict=False))
        influence = np.where(known, number * np.sum([sign * _left_out(part) for sign, part in signed], axis=0), np.nan)
        half = half_width(influence, known.sum(axis=(1, 2)) / number)
        if half is None:
            return Estimate(value, None, None)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = [sign * np.log1p(drawn) for sign, drawn in zip(signs, self._sums(*parts), strict=False)]
            down, up = _reach(np.sum(logs, axis=0), len(known))
        return Estimate(value, value * float(np.exp(-half * down)), value * float(np.exp(half * up)))

    def _sums(self, *parts: Floats) -> list[Floats]:
        """For each draw the sum of a part [P, S, R] less its sum over all samples: [B] for each."""
        table = np.stack([part.sum(axis=(1, 2)) if self._prompts_only else part.ravel() for part in parts], axis=1)
        return list((self._excess @ table.astype(np.float32)).astype(np.float64).T)

    @cached_property
    def _excess(self) -> NDArray[np.float32]:
        """How much more often than once each sample, or each prompt, is drawn: [B, P * S * R] or [B, P]."""
        rng = np.random.default_rng(self.seed)
        draw = _draw_prompts if self._prompts_only else _draw_samples
        return draw(self.shape, self.resamples, rng)


def verdict(low: float | None, high: float | None) -> Verdict | None:
    """What a ratio's interval shows; None where there is none."""
    if low is None or high is None:
        return None
    if low > 1:
        return "faster"
    return "slower" if high < 1 else "no difference shown"


def repeats_needed(logs: Floats, share: float) -> int | None:
    """How many repeats a session would narrow a geometric mean's interval to ± ``share``.

    Repeats lessen only their own part of the variance. None where the rest alone is too wide, so that more prompts or
    sessions are needed, or where the scatter of repeats is unknown.
    """
    found = components(logs, np.full(len(logs), 1 / max(1, len(logs))))
    if found is None or found.repeats is None:
        return None
    room = (np.log1p(share) / quantile_of_t(found.freedom)) ** 2 - max(0.0, found.variance - found.repeats)
    now = float(np.isfinite(logs).sum(axis=2).max(initial=1))
    return max(1, int(np.ceil(found.repeats * now / room))) if room > 0 else None


def _draw_samples(shape: tuple[int, int, int], resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How much more often than once each sample is drawn: [B, P * S * R].

    A prompt that is drawn twice in a session that is drawn twice brings four independent draws of its R repeats.
    """
    prompts, sessions, repeats = shape
    drawn = rng.multinomial(prompts, _even(prompts), size=resamples)[:, :, None]
    drawn = drawn * rng.multinomial(sessions, _even(sessions), size=resamples)[:, None, :]
    counts = rng.multinomial(drawn * repeats, _even(repeats)) if repeats > 1 else drawn
    return counts.reshape(resamples, -1).astype(np.float32) - 1


def _draw_prompts(shape: tuple[int, int, int], resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How much more often than once each prompt is drawn: [B, P]."""
    prompts = shape[0]
    number = min(resamples, max(LEAST_RESAMPLES, BUDGET // prompts))
    excess = np.empty((number, prompts), np.float32)
    for row in excess:
        row[:] = np.bincount(rng.integers(prompts, size=prompts), minlength=prompts)
    excess -= 1
    return excess


def _even(number: int) -> Floats:
    return np.full(number, 1 / max(1, number))


def _left_out(part: Floats) -> Floats:
    """How the log of a sum moves with each sample, from its shares [P, S, R] of the sum.

    For a prompt that is by how much the log falls without it, as the jackknife has it (Efron and Stein, The Annals of
    Statistics 9, 1981); to first order that is its share. Its samples divide it as they divide the share.
    """
    prompts = part.sum(axis=(1, 2))
    if np.count_nonzero(prompts) < 2:
        return part
    moved = np.divide(-np.log1p(-prompts), prompts, out=np.ones_like(prompts), where=prompts > 0)
    return np.asarray(part * (moved * (1 - 1 / np.count_nonzero(prompts)))[:, None, None])


def _reach(draws: Floats, prompts: int) -> tuple[float, float]:
    """How far an interval reaches down and up, as shares of half its width.

    The skew of few prompts is mostly chance, so it counts for a part that grows with their number. A draw that hit
    nothing but missing samples has no figure and is left out.
    """
    draws = draws[np.isfinite(draws)]
    low, high = np.quantile(draws, (0.025, 0.975)) - draws.mean() if len(draws) else (0.0, 0.0)
    skew = (high + low) / (high - low) * prompts / (prompts + TRUSTED) if high > low else 0.0
    return float(1 - skew), float(1 + skew)
