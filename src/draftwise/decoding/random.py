"""Random numbers as a pure function of a key: the same alone, in a batch and on a resumed run.

The generator is counter-based (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a hash of the
key, here three rounds of SplitMix64's finaliser (Steele, Lea and Flood 2014), in 64-bit integers that wrap around.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor


class Stream(IntEnum):
    """What a number decides; each decision has numbers of its own."""

    DRAFT = 1
    ACCEPT = 2
    NEXT = 3


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _shift(value: Tensor, by: int) -> Tensor:
    """Logical shift to the right; int64's own shift repeats the sign."""
    return (value >> by) & ((1 << (64 - by)) - 1)


def _mix(value: Tensor) -> Tensor:
    value = value + _GOLDEN
    value = (value ^ _shift(value, 30)) * _FIRST
    value = (value ^ _shift(value, 27)) * _SECOND
    return value ^ _shift(value, 31)


def uniforms(seeds: Tensor, counters: Tensor, stream: Stream, first: int, count: int) -> Tensor:
    """Uniform numbers in [0, 1) with 53 bits each.

    Args:
        seeds: a row's seed, [B] int64.
        counters: a number that a row uses once, [B] int64.
        stream: what the numbers are for.
        first: the place of the first number.
        count: how many places, n.

    Returns:
        [B, n] float64, each a function of its row's seed and counter, the stream and its place.
    """
    places = torch.arange(first, first + count, device=seeds.device) * 4 + int(stream)
    key = _mix(_mix(seeds) ^ counters)
    return _shift(_mix(key[:, None] ^ places), 11).to(torch.float64) * 2.0**-53
