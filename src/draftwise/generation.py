"""What decoding gives back: an answer with its account of the rounds, whole or piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from draftwise.decoding.types import Round

FinishReason = Literal["eos", "length", "stop"]


@dataclass(frozen=True, slots=True)
class Generation:
    """One prompt's answer: new ids only, and how they came about.

    Times are in nanoseconds and belong to the whole batch. ``prefill_ns`` fills both models' caches with the prompt
    and emits nothing; ``decode_ns`` is all the rounds, which emit every new token; ``ttft_ns`` runs from the call to
    the end of the first round.
    """

    text: str
    tokens: tuple[int, ...]
    finish_reason: FinishReason
    rounds: tuple[Round, ...]
    prefill_ns: int
    ttft_ns: int
    decode_ns: int

    @property
    def acceptance_length(self) -> float:
        """New tokens per target pass; 1.0 for plain decoding."""
        return len(self.tokens) / len(self.rounds)

    @property
    def acceptance_rate(self) -> float | None:
        """Accepted tokens per drafted token, None where nothing was drafted."""
        drafted = sum(item.drafted for item in self.rounds)
        return sum(item.accepted for item in self.rounds) / drafted if drafted else None


@dataclass(frozen=True, slots=True)
class Piece:
    """What one round added to a streamed answer; the last piece carries the whole generation."""

    text: str
    tokens: tuple[int, ...]
    round: Round
    generation: Generation | None = None
