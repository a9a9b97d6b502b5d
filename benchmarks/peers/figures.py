"""From samples to figures: medians, ratios with 95 % intervals over prompts and repeats, and equal answers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.measure import Measured, Sample
from benchmarks.peers.rows import BASELINE, OWN, Row
from draftwise.analysis.bootstrap import Estimate, Resampling
from draftwise.analysis.checks import EQUAL, first_difference

Floats = NDArray[np.float64]


class RowFigures(NamedTuple):
    """A line of the table.

    Attributes:
        row: which.
        token_ms: median milliseconds of each token after the first.
        first_ms: median milliseconds to the first token, all of the prompt included.
        whole_ms: median milliseconds of a whole answer divided by its tokens.
        against_baseline: this row's tokens a second by the baseline's: the geometric mean over pairs of turns on one
            prompt in one round.
        own_against_it: the same for draftwise's row of the same kind by this row.
        equal: prompts whose every answer was draftwise's plain one.
        prompts: that were answered.
        differs: the first position that differs in any answer, counted from 1; None where none does.
        turns: how many were measured.
    """

    row: Row
    token_ms: float
    first_ms: float
    whole_ms: float
    against_baseline: Estimate | None
    own_against_it: Estimate | None
    equal: int
    prompts: int
    differs: int | None
    turns: int


def figures(measured: Measured, rows: Sequence[Row], seed: int) -> list[RowFigures]:
    """The figures of every row that was measured, in the order of ``rows``."""
    repeats = 1 + max((sample.repeat for sample in measured.samples), default=0)
    shape = (len(measured.questions), 1, repeats)
    draws = Resampling(shape, seed)
    by_row = {row.label: [one for one in measured.samples if one.row == row.label] for row in rows}
    logs = {label: _logs(samples, shape) for label, samples in by_row.items() if samples}

    def ratio(label: str, base: str) -> Estimate | None:
        if label == base or label not in logs or base not in logs:
            return None
        return draws.geometric_mean(logs[label] - logs[base])

    return [
        RowFigures(
            row,
            *_medians(by_row[row.label]),
            ratio(row.label, BASELINE),
            ratio(OWN[row.kind], row.label),
            *_agreement(measured, by_row[row.label]),
            len(by_row[row.label]),
        )
        for row in rows
        if by_row[row.label]
    ]


def _logs(samples: Sequence[Sample], shape: tuple[int, int, int]) -> Floats:
    """The logs of the rates after the first token, NaN where there is no turn, or one that a busy machine garbled."""
    logs = np.full(shape, np.nan)
    for one in samples:
        seconds = (one.all_ns - one.first_ns) / 1e9
        if seconds > 0 and len(one.ids) > 1:
            logs[one.prompt, 0, one.repeat] = np.log((len(one.ids) - 1) / seconds)
    return logs


def _medians(samples: Sequence[Sample]) -> tuple[float, float, float]:
    return (
        median((one.all_ns - one.first_ns) / max(1, len(one.ids) - 1) for one in samples) / 1e6,
        median(one.first_ns for one in samples) / 1e6,
        median(one.all_ns / len(one.ids) for one in samples) / 1e6,
    )


def _agreement(measured: Measured, samples: Sequence[Sample]) -> tuple[int, int, int | None]:
    """How many prompts had draftwise's plain answer every time, of how many, and the earliest other token's place."""
    found: dict[int, list[int]] = {}
    for one in samples:
        difference = first_difference(one.ids, measured.questions[one.prompt].answer)
        found.setdefault(one.prompt, []).append(difference)
    equal = sum(all(place == EQUAL for place in places) for places in found.values())
    others = [place + 1 for places in found.values() for place in places if place != EQUAL]
    return equal, len(found), min(others, default=None)
