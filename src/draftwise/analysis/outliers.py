"""Which samples lie far from their fellows, and a selection of all samples to draw one by one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from draftwise.analysis.frame import Frame, row_keys

MILD, FAR = 1, 2
"""Beyond 1.5 and beyond 3 interquartile ranges."""

Levels = NDArray[np.int8]
Floats = NDArray[np.float64]


def outlier_levels(frame: Frame) -> Levels:
    """How far out each sample lies, [N]: 0, MILD or FAR (Tukey), by the log of decode time per token.

    Each is compared with the median of its own prompt, turn and cell, over all sessions, so that a hard prompt is no
    outlier; the range is that of its cell over the whole run. Nothing is dropped, and an invalid sample has no level.
    """
    levels = np.zeros(len(frame.prompt), np.int8)
    for code in range(len(frame.labels)):
        rows = np.flatnonzero(frame.valid & (frame.label == code))
        logs = np.log(frame.decode_ns[rows] / frame.tokens[rows])
        away = logs - _medians(row_keys([frame.prompt[rows], frame.turn[rows]]), logs)
        levels[rows] = _levels(away)
    return levels


def _levels(away: Floats) -> Levels:
    # A sample that is its prompt's median is at 0 by definition and says nothing of the scatter.
    scatter = away[away != 0]
    if not len(scatter):
        return np.zeros(len(away), np.int8)
    first, third = np.quantile(scatter, (0.25, 0.75))
    beyond = np.maximum(first - away, away - third) / max(third - first, 1e-12)
    return np.asarray((beyond > 1.5) * MILD + (beyond > 3) * (FAR - MILD), np.int8)


def _medians(groups: NDArray[np.int64], values: Floats) -> Floats:
    """The median of each value's group: [N]."""
    order = np.lexsort((values, groups))
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    starts = np.cumsum(counts) - counts
    ordered = values[order]
    medians = (ordered[starts + (counts - 1) // 2] + ordered[starts + counts // 2]) / 2
    return np.asarray(medians[group])


class Point(NamedTuple):
    """A sample as a page draws it."""

    label: str
    prompt: str
    turn: int
    session: int
    repeat: int
    ms: float  # decode time per token
    outlier: int  # 0, MILD or FAR


def raw_points(frame: Frame, limit: int, levels: Levels | None = None) -> tuple[list[Point], int]:
    """The valid samples, and how many were left out.

    All far outliers are there, if need be beyond the limit; of the others as many as the limit allows, evenly chosen
    within each cell.
    """
    levels = outlier_levels(frame) if levels is None else levels
    chosen = levels == FAR
    rest = np.flatnonzero(frame.valid & ~chosen)
    rest = rest[np.argsort(frame.label[rest], kind="stable")]
    room = min(len(rest), max(0, limit - int(chosen.sum())))
    chosen[rest[(2 * np.arange(room) + 1) * len(rest) // max(1, 2 * room)]] = True
    rows = np.flatnonzero(chosen)
    return [_point(frame, row, int(levels[row])) for row in rows.tolist()], int(frame.valid.sum()) - len(rows)


def _point(frame: Frame, row: int, level: int) -> Point:
    return Point(
        frame.labels[frame.label[row]],
        frame.prompts[frame.prompt[row]],
        int(frame.turn[row]),
        int(frame.session[row]),
        int(frame.repeat[row]),
        float(frame.decode_ns[row] / frame.tokens[row] / 1e6),
        level,
    )
