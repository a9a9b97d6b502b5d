"""Whether the machine changed between the repeats of a session: what all prompts of a repeat have in common.

The intervals hold the scatter of prompts, of sessions, and of single samples. A repeat that is slow as a whole, because
the machine was busy just then, is none of these: plain decoding and a method meet it alike, so a speed-up hardly feels
it, and tokens/s do. The test is that of a two-way analysis of variance without replication: the mean square of the
repeats within their sessions by that of the rest, which is F where there is no drift.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CHANCE = 0.001
"""A drift is told that chance alone would give in one run of a thousand."""

LEAST = 0.02
"""A spread of the repeats' means that is smaller than this, in the log, is not worth telling."""


class Drift(NamedTuple):
    """The fastest and the slowest repeat of a session, by the logs of their means over prompts less the session's."""

    low: float
    high: float
    chance: float  # that repeats which don't differ would scatter so much


def drift(logs: Floats) -> Drift | None:
    """The drift of a figure between the repeats of its sessions, [P, S, R] logs, NaN where there is no sample.

    Prompts that lack a sample are left out. None where fewer than two prompts or repeats are whole.
    """
    whole = logs[~np.isnan(logs).any(axis=(1, 2))]
    prompts, sessions, repeats = whole.shape
    if prompts < 2 or repeats < 2 or not sessions:
        return None
    centred = whole - whole.mean(axis=2, keepdims=True)  # without what a prompt and a session are as a whole
    means = centred.mean(axis=0)  # [S, R]
    rest = float(((centred - means) ** 2).sum())
    between = float(prompts * (means**2).sum())
    freedom = sessions * (repeats - 1)
    return Drift(float(means.min()), float(means.max()), _chance(between / freedom, rest, freedom, prompts))


def _chance(between: float, rest: float, freedom: int, prompts: int) -> float:
    from scipy.special import fdtrc

    if rest <= 0:
        return 1.0 if between <= 0 else 0.0
    others = freedom * (prompts - 1)
    return float(fdtrc(freedom, others, between / (rest / others)))


def shown(found: Drift | None) -> bool:
    """Whether a drift is too clear for chance and too large to pass over."""
    return found is not None and found.chance < CHANCE and found.high - found.low > LEAST
