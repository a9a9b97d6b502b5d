"""What passes between the loop, the drafters and the verifiers.

Letters are fixed: B rows of the batch, K drafted tokens, V vocabulary, N the rows' token buffer. p is the target's
distribution, q the draft's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from draftwise.decoding.random import Stream, uniforms


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a distribution is made from logits, the same for the target and for the draft."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is taken, without any random number."""
        return self.temperature == 0.0


@dataclass(slots=True)
class Context:
    """The rows' tokens so far. Rows are ragged: each has its own length, and nothing beyond it has a meaning.

    ``longest`` is the greatest of ``lengths``, known to the host. ``fresh`` holds until the first round is committed.
    ``chunk`` is the most prompt tokens that a pass fills a cache with. ``sources`` are the prompts of an
    encoder-decoder, whose rows begin with its start token; None for other models.

    Where ``width`` is given, every draft has that many places and nothing in a round depends on what the host knows of
    the rows, so that the round can be captured and replayed; ``longest`` is then an upper bound that never changes.
    """

    ids: Tensor  # [B, N] int64, prompt and new tokens from the left
    lengths: Tensor  # [B] int64
    left: Tensor  # [B] int64, the most tokens that a row may still get; 0 ends it
    seeds: Tensor  # [B] int64
    sampling: Sampling
    longest: int
    chunk: int
    fresh: bool = True
    sources: tuple[tuple[int, ...], ...] | None = None
    width: int | None = None

    def last(self, count: int) -> Tensor:
        """The last ``count`` tokens of each row, [B, count]."""
        if self.ids.shape[0] == 1 and self.width is None:
            return self.ids[:, self.longest - count : self.longest]
        return self.ids.gather(1, self.lengths[:, None] + torch.arange(-count, 0, device=self.ids.device))

    def uniforms(self, stream: Stream, count: int, first: int = 0) -> Tensor:
        """``count`` random numbers a row, [B, count] float64, a function of its seed, its length and their place alone.

        A round begins at a length of its own, so no number is ever used for two decisions.
        """
        return uniforms(self.seeds, self.lengths, stream, first, count)


@dataclass(frozen=True, slots=True)
class Draft:
    """Guessed tokens. A row's guesses are its first ``lengths`` tokens; what follows them is padding."""

    tokens: Tensor  # [B, K] int64
    lengths: Tensor  # [B] int64, 0 to K
    probabilities: Tensor | None  # [B, K, V] q, each row the distribution its token was drawn from; None if greedy

    @classmethod
    def empty(cls, context: Context) -> Draft:
        """No guess for any row, K = 0."""
        return cls(context.ids[:, :0], torch.zeros_like(context.left), None)


class Verdict(NamedTuple):
    """How many drafted tokens of each row stand, and the target's own token after them."""

    accepted: Tensor  # [B] int64, 0 to the draft's length
    next_token: Tensor  # [B] int64


@dataclass(frozen=True, slots=True)
class Round:
    """One target pass of one row, in tokens; ``emitted`` is ``accepted`` + 1 unless the text ended before that."""

    drafted: int
    accepted: int
    emitted: int


class Drafter(Protocol):
    """A way to guess tokens; holds one generation's state."""

    @property
    def most(self) -> int:
        """The most tokens that a draft can have."""

    def prefill(self, context: Context) -> None:
        """Get ready for the prompts in ``context``."""

    def propose(self, context: Context, room: Tensor) -> Draft:
        """Guess at most ``room`` [B] tokens after each row's last one."""


class Verifier(Protocol):
    """A way to judge guessed tokens."""

    def judge(self, context: Context, draft: Draft, logits: Tensor) -> Verdict:
        """Judge a draft by the target's logits [B, K + 1, V] after each row's last token and each drafted one."""
