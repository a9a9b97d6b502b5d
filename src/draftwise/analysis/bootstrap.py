"""95 % intervals by a bootstrap over prompts, then over the repeats of each prompt.

Prompts differ far more than repeats of one prompt do, and the turns of one conversation belong together, so prompts are
drawn as wholes; then, for each drawn prompt, as many of its repeats as it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2000
CHUNK = 2_000_000
"""The most prompts drawn at once, over all resamples of a chunk; bounds the memory."""


class Estimate(NamedTuple):
    """A figure and its 95 % interval; all None where there is nothing to estimate from."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Cells:
    """Sums over the turns of a prompt in a repeat: P prompts, at most R repeats of each, F quantities."""

    values: Floats  # [P, R, F], a prompt's repeats from the left, zeros behind them
    counts: NDArray[np.int64]  # [P], repeats that a prompt has, at least 1


Statistic = Callable[[Floats], Floats]
"""From a prompt's sums over its repeats [N, P, F] to a figure [N]."""


def make_cells(samples: Iterable[tuple[str, int, tuple[float, ...]]]) -> Cells:
    """Cells from samples of (prompt id, repeat, quantities)."""
    sums: dict[str, dict[int, Floats]] = {}
    for prompt, repeat, quantities in samples:
        repeats = sums.setdefault(prompt, {})
        repeats[repeat] = repeats.get(repeat, 0.0) + np.asarray(quantities, np.float64)
    rows = [list(repeats.values()) for repeats in sums.values()]
    counts = np.asarray([len(row) for row in rows], np.int64)
    width = len(rows[0][0]) if rows else 0
    values = np.zeros((len(rows), counts.max(initial=0), width))
    for index, row in enumerate(rows):
        values[index, : len(row)] = row
    return Cells(values, counts)


def rate(sums: Floats) -> Floats:
    """The first quantity by the second, both summed over everything: tokens by seconds."""
    total = sums.sum(axis=1)
    return np.asarray(total[:, 0] / total[:, 1])


def mean_ratio(sums: Floats) -> Floats:
    """The geometric mean over prompts of a prompt's own ratio; quantities are the log ratio and 1."""
    return np.asarray(np.exp((sums[..., 0] / sums[..., 1]).mean(axis=1)))


def estimate(cells: Cells, statistic: Statistic, seed: int, resamples: int = RESAMPLES) -> Estimate:
    """A statistic of all samples, with its percentile interval."""
    prompts = len(cells.counts)
    if not prompts:
        return Estimate(None, None, None)
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // prompts)
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    drawn = np.concatenate([statistic(_resample(cells, size, rng)) for size in sizes])
    low, high = np.quantile(drawn, (0.025, 0.975))
    value = statistic(cells.values.sum(axis=1)[None])[0]
    return Estimate(float(value), float(low), float(high))


def _resample(cells: Cells, size: int, rng: np.random.Generator) -> Floats:
    prompts, repeats, width = cells.values.shape
    who = rng.integers(prompts, size=(size, prompts))
    counts = cells.counts[who]
    sums = np.zeros((size, prompts, width))
    for place in range(repeats):
        which = (rng.random((size, prompts)) * counts).astype(np.int64)
        sums += cells.values[who, which] * (place < counts)[..., None]
    return sums


def repeats_needed(cells: Cells, half_width: float) -> int | None:
    """How many repeats would narrow a geometric mean's interval to ± ``half_width`` (a share).

    The variance of the mean is (between + within / repeats) / prompts. None where the spread between prompts alone is
    too wide, or where one repeat leaves the spread within a prompt unknown.
    """
    several = cells.counts > 1
    if not several.any() or len(cells.counts) < 2:
        return None
    logs = cells.values[..., 0] / np.maximum(cells.values[..., 1], 1)
    mask = np.arange(logs.shape[1]) < cells.counts[:, None]
    means = np.where(mask, logs, 0).sum(axis=1) / cells.counts
    squares = np.where(mask, (logs - means[:, None]) ** 2, 0).sum(axis=1)
    within = squares[several].sum() / (cells.counts[several] - 1).sum()
    between = max(0.0, means.var(ddof=1) - within / cells.counts.mean())
    room = len(means) * (np.log1p(half_width) / 1.96) ** 2 - between
    return int(np.ceil(within / room)) if room > 0 else None
