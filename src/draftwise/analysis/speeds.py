"""How fast each cell was over some of the samples, those of a subtask or of the whole run.

decode tokens/s is the sum of new tokens by the sum of decode time, which is the time of all rounds and they emit every
new token; end-to-end tokens/s is the same by total time, prefill included. The speed-up is paired by prompt, turn,
session and repeat: for each prompt the mean log ratio of plain decoding's time per token and the cell's; the mean of
that over prompts, exponentiated. ``speedup_total`` is the plain ratio of the tokens/s of the same pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from draftwise.analysis.bootstrap import NOTHING, Resampling, named, repeats_needed, verdict
from draftwise.analysis.drift import drift, shown
from draftwise.analysis.frame import Bools, Frame, Longs
from draftwise.analysis.grid import MISSING, Grid, Pairs
from draftwise.analysis.outliers import FAR, MILD, Levels, Point, outlier_levels, raw_points
from draftwise.bench.cells import BASELINE
from draftwise.bench.guard import check_rate
from draftwise.bench.settings import BenchSettings

__all__ = ["Figures", "Point", "outlier_levels", "raw_points", "speed_figures"]

Figures = dict[str, Any]
"""One cell's values, each a number, a word or None."""
Floats = NDArray[np.float64]

PRECISE = 0.01
"""``repeats_for_1_percent`` asks for an interval of ± this share."""


def speed_figures(
    frame: Frame,
    rows: Bools,
    settings: BenchSettings,
    environment: Mapping[str, Any],
    draft_passes: Mapping[str, float],
    levels: Levels | None = None,
) -> dict[str, Figures]:
    """Every figure of speed, by label.

    Args:
        frame: the run's samples.
        rows: which of them to take, [N].
        settings: the run's.
        environment: the run's; its bandwidth is what the rates are held against.
        draft_passes: passes of the draft for each pass of the target, by label.
        levels: ``outlier_levels`` of the frame, where they are known already.

    Raises:
        DraftwiseError: a rate is above what memory allows.
    """
    grid = Grid(frame, np.asarray(rows & frame.valid))
    resampling = Resampling(grid.shape, settings.decoding.seed)
    levels = outlier_levels(frame) if levels is None else levels
    base = grid.samples(BASELINE) if BASELINE in frame.labels else None
    paces = _pace(frame, frame.decode_ns), _pace(frame, frame.total_ns)
    found: dict[str, Figures] = {}
    for code, label in enumerate(frame.labels):
        own = grid.samples(label)
        found[label] = {
            **_rates(frame, grid, own, resampling),
            "drift": _drift(grid.means(own, paces[0])),
            **_use(frame, own[own != MISSING], label, environment, draft_passes.get(label)),
            **(_speedups(frame, grid, grid.pairs(base, own), paces, resampling) if base is not None else NO_SPEEDUP),
            **_counts(frame, own[own != MISSING], levels),
            "invalid": int((rows & ~frame.valid & (frame.label == code)).sum()),
            "unpaired": None if base is None else _unpaired(base, own, grid.pairs(base, own)),
        }
    return found


def _rates(frame: Frame, grid: Grid, own: Longs, resampling: Resampling) -> Figures:
    tokens = grid.sums(own, frame.tokens)
    decode, total = (grid.sums(own, values) / 1e9 for values in (frame.decode_ns, frame.total_ns))
    return {
        **named("tokens_per_second", resampling.rate(tokens, decode)),
        **named("end_to_end_tokens_per_second", resampling.rate(tokens, total)),
    }


def _use(frame: Frame, own: Longs, label: str, environment: Mapping[str, Any], draft_passes: float | None) -> Figures:
    """What was made of how much time and memory."""
    tokens, passes = int(frame.tokens[own].sum()), int(frame.passes[own].sum())
    seconds = int(frame.decode_ns[own].sum()) / 1e9
    bandwidth = _bandwidth(environment)
    if len(own):
        check_rate(label, tokens, seconds, passes, bandwidth, environment.get("bytes_per_pass"))
    read = _bytes_per_target_pass(label, environment, draft_passes)
    known = len(own) and bandwidth and read
    return {
        "new_tokens": tokens,
        "seconds": seconds,
        "target_passes": passes,
        "bandwidth_share": passes * read / seconds / bandwidth if known and read and bandwidth else None,
    }


def _speedups(frame: Frame, grid: Grid, pairs: Pairs, paces: tuple[Floats, Floats], resampling: Resampling) -> Figures:
    decode, total = (grid.means(pairs.base, pace) - grid.means(pairs.own, pace) for pace in paces)
    tokens, seconds = (
        [grid.sums(rows, values) for rows in (pairs.own, pairs.base)] for values in (frame.tokens, frame.decode_ns)
    )
    speedup = resampling.geometric_mean(decode)
    return {
        **named("speedup", speedup),
        **named("end_to_end_speedup", resampling.geometric_mean(total)),
        **named("speedup_total", resampling.rate_ratio(tokens[0], seconds[0], tokens[1], seconds[1])),
        "verdict": verdict(speedup.low, speedup.high),
        "repeats_for_1_percent": repeats_needed(decode, PRECISE),
        "speedup_drift": _drift(decode),
    }


def _drift(logs: Floats) -> Figures | None:
    """How far the repeats of a session differ as wholes, in logs, and the chance of it; None where they don't."""
    found = drift(logs)
    if found is None or not shown(found):
        return None
    return {"low": found.low, "high": found.high, "chance": found.chance}


def _pace(frame: Frame, nanoseconds: Longs) -> Floats:
    """The log of the time per token, [N], 0 for an invalid sample."""
    pace = np.zeros(len(nanoseconds))
    pace[frame.valid] = np.log(nanoseconds[frame.valid] / frame.tokens[frame.valid])
    return pace


def _counts(frame: Frame, own: Longs, levels: Levels) -> Figures:
    return {
        "ttft_seconds": float(np.median(frame.ttft_ns[own])) / 1e9 if len(own) else None,
        "samples": len(own),
        "outliers": int((levels[own] >= MILD).sum()),
        "far_outliers": int((levels[own] == FAR).sum()),
    }


def _unpaired(base: Longs, own: Longs, pairs: Pairs) -> int:
    """How many valid samples of either the speed-up leaves out."""
    taken = ((base != MISSING) & (pairs.base == MISSING)).sum() + ((own != MISSING) & (pairs.own == MISSING)).sum()
    return int(taken)


def _bytes_per_target_pass(label: str, environment: Mapping[str, Any], draft_passes: float | None) -> float | None:
    """The bytes that a pass of the target and the draft's passes beside it read; None where a part is unknown."""
    target = environment.get("bytes_per_pass")
    draft = ((environment.get("methods") or {}).get(label) or {}).get("draft")
    if not target or draft is None:
        return target or None
    size = (environment.get("draft_bytes_per_pass") or {}).get(draft)
    return None if size is None or draft_passes is None else float(target + draft_passes * size)


def _bandwidth(environment: Mapping[str, Any]) -> float | None:
    """The faster of the two measurements, before and after the run: neighbours can only slow one down."""
    after = environment.get("after") or {}
    known = [part["bandwidth"] for part in (environment, after) if part.get("bandwidth")]
    return max(known, default=None)


NO_SPEEDUP: Figures = {
    **named("speedup", NOTHING),
    **named("end_to_end_speedup", NOTHING),
    **named("speedup_total", NOTHING),
    "verdict": None,
    "repeats_for_1_percent": None,
    "speedup_drift": None,
}
"""What is said of speed-up where plain decoding was not measured."""
