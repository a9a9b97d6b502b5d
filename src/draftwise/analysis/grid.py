"""Where the samples of a part of a run stand among its tasks, sessions and repeats, and which of them pair.

A task is one turn of one prompt. All of a cell's samples fit an array [T, S, R], and what is summed or averaged over
the turns of each prompt an array [P, S, R], which is what the bootstrap draws from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from draftwise.analysis.frame import Bools, Frame, Longs, row_keys

Floats = NDArray[np.float64]

MISSING = -1
"""The row of a sample that isn't there."""


class Pairs(NamedTuple):
    """The rows of two cells that pair, [T, S, R] each, MISSING in both where there is no pair."""

    base: Longs
    own: Longs


class Grid:
    """The places of the valid samples of a part of a run."""

    def __init__(self, frame: Frame, chosen: Bools) -> None:
        """Find the places.

        Args:
            frame: the run's samples.
            chosen: which of them to place, [N].
        """
        self._frame = frame
        rows = np.flatnonzero(chosen)
        first, self._task = _ranks(row_keys([frame.prompt[rows], frame.turn[rows]]))
        _, prompt = _ranks(frame.prompt[rows][first])
        sessions, self._session = _ranks(frame.session[rows])
        repeats, self._repeat = _ranks(frame.repeat[rows])
        self._rows, self._label = rows, frame.label[rows]
        self._prompt_of_task = prompt  # [T], ascending, since the keys of tasks begin with the prompt
        self._starts = np.flatnonzero(np.diff(prompt, prepend=-1))  # [P], each prompt's first task
        self.shape = (len(self._starts), len(sessions), len(repeats))

    def samples(self, label: str) -> Longs:
        """The rows of a cell: [T, S, R], MISSING where it has no valid sample."""
        places = np.full((len(self._prompt_of_task), *self.shape[1:]), MISSING, np.int64)
        own = self._label == self._frame.labels.index(label)
        places[self._task[own], self._session[own], self._repeat[own]] = self._rows[own]
        return places

    def pairs(self, base: Longs, own: Longs) -> Pairs:
        """What of two cells' samples pairs.

        Turns are not alike, so a repeat of a conversation is left out whole if it lacks a turn that others have.
        """
        both = (base != MISSING) & (own != MISSING)
        wanted = both.any(axis=(1, 2))[:, None, None]
        whole = self._over_turns(wanted & ~both) == 0
        kept = both & whole[self._prompt_of_task]
        return Pairs(np.where(kept, base, MISSING), np.where(kept, own, MISSING))

    def sums(self, rows: Longs, values: NDArray[Any]) -> Floats:
        """The sum over the turns of each conversation, [P, S, R], NaN where it has no sample.

        Args:
            rows: [T, S, R].
            values: a column of the frame, or another [N].
        """
        totals, counts = self._totals(rows, values)
        return np.where(counts > 0, totals, np.nan)

    def means(self, rows: Longs, values: NDArray[Any]) -> Floats:
        """The mean over the turns of each conversation, [P, S, R], NaN where it has no sample."""
        totals, counts = self._totals(rows, values)
        return np.where(counts > 0, totals, np.nan) / np.maximum(counts, 1)

    def _totals(self, rows: Longs, values: NDArray[Any]) -> tuple[Floats, Floats]:
        there = rows != MISSING
        return self._over_turns(np.where(there, values[rows], 0)), self._over_turns(there)

    def _over_turns(self, values: NDArray[Any]) -> Floats:
        values = values.astype(np.float64)
        return np.asarray(np.add.reduceat(values, self._starts, axis=0)) if len(values) else np.zeros(self.shape)


def _ranks(values: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each different value first stands, and the rank of each value among them."""
    _, first, ranks = np.unique(values, return_index=True, return_inverse=True)
    return first, ranks
