"""Whole rounds at temperature 0 as one native call each; the plain twin is ``advance`` of decoding/loop.py."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from draftwise.errors import DraftwiseError, not_numbers
from draftwise.models.backends.native.compiled import native_library
from draftwise.models.backends.native.structures import (
    LinesStructure,
    OutcomeStructure,
    PolicyStructure,
    SideStructure,
)
from draftwise.models.backends.native.transformer import NativeCache, NativeTransformer
from draftwise.models.protocol import Cache, CausalLM
from draftwise.models.vocabulary import LimitedVocabulary

_FIXED = 5  # columns of one figure a row, before the block
_NEVER = -1.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How a round drafts and judges.

    Attributes:
        most: the most tokens that are drafted.
        fallback_threshold: drafting ends before a token whose probability is below this; None for never.
        rollback_threshold: a drafted token stands while -log p is no more than this; None while it is the target's own.
    """

    most: int
    fallback_threshold: float | None = None
    rollback_threshold: float | None = None


class NativeRound(NamedTuple):
    """What a round did."""

    columns: tuple[Sequence[Any], ...]  # of decoding/loop.py's ``Outcome``, in its order, as lists
    passes: int  # of the draft model
    nanoseconds: tuple[int, int, int]  # drafting; the target's pass; judging and committing


def native_model(model: CausalLM) -> NativeTransformer | None:
    """The native model within one whose vocabulary may be limited; None where it is of another kind."""
    inner = model.inner if isinstance(model, LimitedVocabulary) else model
    return inner if isinstance(inner, NativeTransformer) else None


class NativeRounds:
    """Decodes rows round by round, in place."""

    def __init__(
        self,
        target: tuple[CausalLM, Cache],
        draft: tuple[CausalLM, Cache] | None,
        policy: Policy,
        rows: tuple[Tensor, Tensor, Tensor],
        stops: Sequence[int],
    ) -> None:
        """Take models for which ``native_model`` is not None, each with a cache that is filled.

        Args:
            target: whose text it is.
            draft: who guesses; None where the policy drafts nothing.
            policy: how to draft and judge.
            rows: ids [B, N], lengths [B] and how many tokens each row may still get [B], int64, which rounds overwrite;
                N leaves room for a draft and one more token behind every length.
            stops: the ids that end a row.
        """
        ids, lengths, left = rows
        self._dtype = target[0].dtype
        self._call = native_library().draftwise_round
        self._stops = torch.tensor(stops, dtype=torch.int64)
        self._batch = len(ids)
        self._columns = torch.zeros((self._batch, _FIXED + policy.most + 1), dtype=torch.int64)
        self._guesses = torch.zeros((self._batch, policy.most), dtype=torch.int64)
        self._kept = (ids, lengths, left, target, draft)
        self._lines = LinesStructure(
            *(part.data_ptr() for part in (ids, lengths, left, self._stops)), *ids.shape, len(self._stops), True
        )
        thresholds = (policy.fallback_threshold, policy.rollback_threshold)
        self._policy = PolicyStructure(policy.most, *(_NEVER if value is None else value for value in thresholds))
        self._outcome = OutcomeStructure(self._columns.data_ptr(), self._guesses.data_ptr())
        self._absent: list[Tensor] = []
        places = ids.shape[1]
        self._target = self._side(*target, places)
        self._draft = self._side(*draft, places) if draft is not None else self._target
        parts = (self._target, self._draft, self._policy, self._lines, self._outcome)
        self._arguments = [ctypes.byref(part) for part in parts]

    def advance(self) -> NativeRound:
        """One round of all rows.

        Raises:
            DraftwiseError: memory ran out, or it was the last round and the target's logits are not numbers.
        """
        outcome = self._outcome
        outcome.passes = 0
        if self._call(*self._arguments):
            raise DraftwiseError(f"no memory is left for a round of {self._batch} rows; use a smaller batch")
        self._lines.fresh = False
        if not outcome.numbers:
            raise not_numbers(self._dtype)
        rows = self._columns.tolist()
        columns = (*zip(*(row[:_FIXED] for row in rows), strict=True), [row[_FIXED:] for row in rows])
        return NativeRound(columns, outcome.passes, (outcome.draft_ns, outcome.verify_ns, outcome.judge_ns))

    def guesses(self, row: int, count: int) -> tuple[int, ...]:
        """The first ``count`` tokens that were drafted for a row in the last round."""
        return tuple(self._guesses[row, :count].tolist())

    def _side(self, model: CausalLM, cache: NativeCache, places: int) -> SideStructure:
        inner = native_model(model)
        assert inner is not None, "native rounds are for native models"
        absent = model.absent if isinstance(model, LimitedVocabulary) else None
        if absent is not None:
            self._absent.append(absent)
        # A row that outgrows a draft's context is drafted for no more; the last guess isn't fed to it.
        reach = places + 1 if places <= inner.max_positions else inner.max_positions + 1
        return SideStructure(
            *(inner.address, inner.workspace, cache.entries.data_ptr(), cache.capacity, cache.threads),
            *(model.vocab_size, None if absent is None else absent.data_ptr()),
            *(0 if absent is None else len(absent), reach),
        )
