"""Rotary positions (Su et al. 2021) and the ways to stretch them to longer contexts than they were trained on.

Formulas and the order of operations are those of transformers' ``modeling_rope_utils``. A position's angles depend on
that position alone, never on the pass, so that a rewind changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def _plain(width: int, theta: float | Tensor) -> Tensor:
    exponents: Tensor = torch.arange(0, width, 2, dtype=torch.float32) / width
    return 1.0 / theta**exponents


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """No scaling at all, and what every way of scaling has.

    Attributes:
        attention_factor: what the cosines and sines are multiplied by.
    """

    attention_factor: float = 1.0

    def frequencies(self, width: int, theta: float, positions: Tensor) -> Tensor:
        """Radians a position, [width / 2], or [P, width / 2] where they depend on the position, [P]."""
        return _plain(width, theta)

    def reach(self, max_positions: int) -> int:
        """The longest context, given what config.json calls max_position_embeddings."""
        return max_positions


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(Scaling):
    """Positions divided by a factor (Chen et al. 2023)."""

    factor: float

    def frequencies(self, width: int, theta: float, positions: Tensor) -> Tensor:
        """As in ``Scaling``."""
        return _plain(width, theta) / self.factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic(Scaling):
    """A base that grows with the context beyond ``length`` (dynamic NTK).

    A position is turned by the base of the context that ends with it, as when transformers reads a text token by
    token; transformers turns a long prompt, read at once, by the whole prompt's.
    """

    factor: float
    length: int

    def frequencies(self, width: int, theta: float, positions: Tensor) -> Tensor:
        """As in ``Scaling``."""
        stretch = self.factor * (positions + 1).clamp(min=self.length) / self.length - (self.factor - 1)
        return _plain(width, theta * stretch[:, None] ** (width / (width - 2)))

    def reach(self, max_positions: int) -> int:
        """As in ``Scaling``: ``factor`` times as long."""
        return int(max_positions * self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Llama3(Scaling):
    """Long waves divided by a factor, short ones left, those between blended (Llama 3.1)."""

    factor: float
    low: float
    high: float
    length: int

    def frequencies(self, width: int, theta: float, positions: Tensor) -> Tensor:
        """As in ``Scaling``."""
        plain = _plain(width, theta)
        waves = 2 * math.pi / plain
        smooth = (self.length / waves - self.low) / (self.high - self.low)
        blended = (1 - smooth) * plain / self.factor + smooth * plain
        slow, fast = waves > self.length / self.low, waves < self.length / self.high
        return torch.where(slow, plain / self.factor, torch.where(fast, plain, blended))


@dataclass(frozen=True, slots=True, kw_only=True)
class Yarn(Scaling):
    """Long waves divided by a factor, by a ramp over the dimensions (Peng et al. 2023)."""

    factor: float
    length: int
    fast: float = 32.0
    slow: float = 1.0
    truncate: bool = True

    def frequencies(self, width: int, theta: float, positions: Tensor) -> Tensor:
        """As in ``Scaling``."""
        low, high = (self._dimension(turns, width, theta) for turns in (self.fast, self.slow))
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, width - 1)
        high += 0.001 if low == high else 0
        ramp = ((torch.arange(width // 2, dtype=torch.float32) - low) / (high - low)).clamp(0, 1)
        plain = _plain(width, theta)
        return plain / self.factor * ramp + plain * (1 - ramp)

    def _dimension(self, turns: float, width: int, theta: float) -> float:
        """The dimension whose wave turns that often within ``length``."""
        return width * math.log(self.length / (turns * 2 * math.pi)) / (2 * math.log(theta))


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRope(Scaling):
    """A factor for each dimension (Ding et al. 2024), of which only the short context's are used.

    The published models have a second set of factors for contexts beyond ``length``. Which set turns a position then
    depends on how long the text has become, and a cache that was filled with one set is useless to the other; so the
    context ends at ``length``, where the first set does.
    """

    factors: tuple[float, ...]
    length: int

    def frequencies(self, width: int, theta: float, positions: Tensor) -> Tensor:
        """As in ``Scaling``."""
        return _plain(width, theta) / torch.tensor(self.factors, dtype=torch.float32)

    def reach(self, max_positions: int) -> int:
        """As in ``Scaling``: no further than ``length``."""
        return min(max_positions, self.length)


@dataclass(frozen=True, slots=True)
class Rotary:
    """How the first ``width`` dimensions of a head are turned: dimension i with i + width / 2, by position."""

    width: int
    theta: float
    scaling: Scaling = Scaling()

    def table(self, count: int) -> Tensor:
        """Cosines and then sines of positions 0 to ``count`` - 1, [count, 2 * width], float32.

        The sines' first half is negated: a vector x turns into x cos + x' sin, where x' has x's halves exchanged.
        """
        positions = torch.arange(count, dtype=torch.float32)
        angles = positions[:, None] * self.scaling.frequencies(self.width, self.theta, positions)
        cosines, sines = angles.cos(), angles.sin()
        return torch.cat((cosines, cosines, -sines, sines), 1) * self.scaling.attention_factor
