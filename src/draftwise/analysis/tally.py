"""Sums over the rounds of the check pass, for each cell of a subtask, added up many rounds at a time.

A round has a draft of ``drafted`` tokens, of which ``accepted`` stand in the text, clipped at a stop token and at the
length limit by the loop, and ``emitted`` new tokens. So there are two ways for a round to end:

- ``emitted`` = ``accepted`` + 1: the target wrote the token after the accepted ones. Where ``accepted`` < ``drafted``
  it wrote that instead of a drafted token, which it *rejected*.
- ``emitted`` = ``accepted``: the text ended at an accepted token; what was drafted behind it was neither accepted nor
  rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from draftwise.bench.records import Check
from draftwise.errors import DraftwiseError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SPANS = ("draft", "verify", "judge", "engine", "wait")
"""The parts of a round's time."""

BATCH = 100_000
"""How many rounds are added up at once; bounds the memory."""


class Fallback(NamedTuple):
    """What must be known of a method to tell where its draft fell back: its longest draft and what ends a text."""

    most: int
    stops: frozenset[int]


class Tally(NamedTuple):
    """The rounds of one label over a part of the run. W is one more than the longest draft."""

    rounds: int
    tokens: int
    drafted: int
    accepted: int
    draft_passes: int
    drafting_rounds: int  # in which the draft model passed at all
    double_feeds: int  # of those, the ones whose first pass fed two tokens: all but the first round of a text
    fallbacks: int
    times: Ints  # [5], nanoseconds of each of SPANS
    by_accepted: Ints  # [W], rounds with so many accepted tokens
    by_drafted: Ints  # [W], rounds with so many drafted ones
    by_countable: Ints  # [W], rounds with so many drafted ones that could have been emitted
    by_rejected: Ints  # [W], rounds whose drafted token at that place, counted from 0, was rejected

    @property
    def rejections(self) -> int:
        """Rounds in which the target wrote a token of its own instead of a drafted one."""
        return int(self.by_rejected.sum())


SUMS = ("rounds", "tokens", "drafted", "accepted", "draft_passes", "drafting_rounds", "double_feeds", "fallbacks")
COUNTS = ("by_accepted", "by_drafted", "by_countable", "by_rejected")


@dataclass(slots=True)
class _Pending:
    """Checks that were not added up yet: lists by check, then lists by round."""

    names: list[tuple[str, int, str]] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)  # rounds of each check
    tokens: list[int] = field(default_factory=list)
    most: list[int] = field(default_factory=list)  # the longest draft; -1 where a method doesn't fall back
    times: list[tuple[int, ...]] = field(default_factory=list)
    drafted: list[int] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    emitted: list[int] = field(default_factory=list)
    draft_passes: list[int] = field(default_factory=list)
    stopped: list[bool] = field(default_factory=list)  # whether the draft ends in a stop token


class RoundCounter:
    """Adds up the rounds of checks by cell, a number from 0."""

    def __init__(self, max_new_tokens: int) -> None:
        """Count rounds of texts of at most that many tokens."""
        self._limit = max_new_tokens
        self._pending = _Pending()
        self._sums: Ints = np.zeros((0, len(SUMS) + len(SPANS)), np.int64)
        self._counts: Ints = np.zeros((len(COUNTS), 0, 1), np.int64)

    def add(self, cell: int, check: Check, fallback: Fallback | None) -> None:
        """Count a check's rounds.

        Raises:
            DraftwiseError: the rounds of a check contradict one another or its answer.
        """
        pending, rounds = self._pending, check.rounds
        pending.names.append((check.prompt_id, check.turn, check.method))
        if not rounds:
            raise _fault(pending.names[-1])
        drafts, accepted, emitted, passes, *times = zip(*rounds, strict=True)
        pending.cells.append(cell)
        pending.lengths.append(len(rounds))
        pending.tokens.append(len(check.new_tokens))
        pending.most.append(-1 if fallback is None else fallback.most)
        pending.times.append(tuple(map(sum, times)))
        pending.drafted.extend(map(len, drafts))
        pending.accepted.extend(accepted)
        pending.emitted.extend(emitted)
        pending.draft_passes.extend(passes)
        pending.stopped.extend(_stopped(drafts, fallback))
        if len(pending.drafted) >= BATCH:
            self.flush()

    def tally(self, cells: Sequence[int]) -> Tally:
        """The sums over some cells; a cell without any check adds nothing."""
        self.flush()
        known = [cell for cell in cells if cell < len(self._sums)]
        sums, counts = self._sums[known].sum(axis=0), self._counts[:, known].sum(axis=1)
        longest = int(np.flatnonzero(counts[1]).max(initial=0))
        fields: list[Any] = [*map(int, sums[: len(SUMS)]), sums[len(SUMS) :], *counts[:, : longest + 1]]
        return Tally(*fields)

    def flush(self) -> None:
        """Add up what is pending.

        Raises:
            DraftwiseError: the rounds of a check contradict one another or its answer.
        """
        if not self._pending.cells:
            return
        pending, self._pending = self._pending, _Pending()
        rounds = _Rounds.of(pending, self._limit)
        rounds.check(pending)
        self._grow(int(max(pending.cells)) + 1, int(rounds.drafted.max()) + 1)
        for place, column in enumerate(rounds.columns()):
            self._sums[:, place] += _summed(rounds.cell, column, len(self._sums))
        for place, column in enumerate(np.array(pending.times).T, len(SUMS)):
            self._sums[:, place] += _summed(np.array(pending.cells), column, len(self._sums))
        for counts, (cell, values) in zip(self._counts, rounds.counted(), strict=True):
            counts += np.bincount(cell * counts.shape[1] + values, minlength=counts.size).reshape(counts.shape)

    def _grow(self, cells: int, width: int) -> None:
        more = max(0, cells - len(self._sums))
        wider = max(0, width - self._counts.shape[2])
        self._sums = np.pad(self._sums, ((0, more), (0, 0)))
        self._counts = np.pad(self._counts, ((0, 0), (0, more), (0, wider)))


@dataclass(frozen=True, slots=True)
class _Rounds:
    """Some checks' rounds as columns [N]."""

    cell: Ints
    owner: Ints  # which of the checks
    first: Bools  # the first round of its text
    last: Bools
    drafted: Ints
    accepted: Ints
    emitted: Ints
    draft_passes: Ints
    remaining: Ints  # tokens that the text may still get, this round's included
    fell_back: Bools

    @classmethod
    def of(cls, pending: _Pending, limit: int) -> _Rounds:
        lengths = np.array(pending.lengths)
        drafted, emitted, passes = (np.array(c) for c in (pending.drafted, pending.emitted, pending.draft_passes))
        begins = np.cumsum(lengths) - lengths
        before = np.cumsum(emitted) - emitted
        remaining = limit - before + np.repeat(before[begins], lengths)
        # A pass whose token was thrown away: it tells a fallback from a draft that paused beyond the model's context.
        unsure = (passes > drafted) & ~np.array(pending.stopped)
        return cls(
            cell=np.repeat(pending.cells, lengths),
            owner=np.repeat(np.arange(len(lengths)), lengths),
            first=_marked(begins, len(drafted)),
            last=_marked(begins + lengths - 1, len(drafted)),
            drafted=drafted,
            accepted=np.array(pending.accepted),
            emitted=emitted,
            draft_passes=passes,
            remaining=remaining,
            fell_back=unsure & (drafted < np.minimum(np.repeat(pending.most, lengths), remaining - 1)),
        )

    def columns(self) -> tuple[NDArray[Any], ...]:
        """What is summed, in the order of SUMS."""
        drafting = self.draft_passes > 0
        ones = np.ones_like(self.drafted)
        passes = (self.draft_passes, drafting, drafting & ~self.first)
        return (ones, self.emitted, self.drafted, self.accepted, *passes, self.fell_back)

    def counted(self) -> tuple[tuple[Ints, Ints], ...]:
        """What is counted by its value, with the cells, in the order of COUNTS."""
        countable = np.minimum(self.drafted, np.where(self.last, self.emitted, self.remaining))
        rejected = (self.accepted < self.drafted) & (self.emitted > self.accepted)
        every = tuple((self.cell, values) for values in (self.accepted, self.drafted, countable))
        return (*every, (self.cell[rejected], self.accepted[rejected]))

    def check(self, pending: _Pending) -> None:
        """Hold each check's rounds against one another and its answer.

        Raises:
            DraftwiseError: they contradict each other.
        """
        wrong = (self.accepted < 0) | (self.accepted > np.minimum(self.drafted, self.emitted)) | (self.emitted < 1)
        wrong |= (self.emitted > self.accepted + 1) | (self.emitted > self.remaining)
        wrong |= (self.emitted == self.accepted) & ~self.last
        bad = np.bincount(self.owner, wrong) > 0
        bad |= np.bincount(self.owner, self.emitted) != pending.tokens
        if bad.any():
            raise _fault(pending.names[int(bad.argmax())])


def _marked(places: Ints, count: int) -> Bools:
    mask = np.zeros(count, np.bool_)
    mask[places] = True
    return mask


def _stopped(drafts: Sequence[tuple[int, ...]], fallback: Fallback | None) -> list[bool]:
    if fallback is None:
        return [False] * len(drafts)
    return [bool(draft) and draft[-1] in fallback.stops for draft in drafts]


def _summed(cell: Ints, values: NDArray[Any], cells: int) -> Ints:
    """Sums of whole numbers by cell [cells], exact up to 2^53."""
    return np.bincount(cell, values, cells).astype(np.int64)


def _fault(name: tuple[str, int, str]) -> DraftwiseError:
    prompt, turn, label = name
    return DraftwiseError(
        f"the check of {prompt!r}, turn {turn}, with {label!r} contradicts itself: "
        "its rounds don't add up to its answer; measure it again"
    )
