"""The ratios of one run to another, by part and cell, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from draftwise.analysis.bootstrap import NOTHING, Estimate, Resampling, named, verdict
from draftwise.analysis.names import BASELINE
from draftwise.analysis.pairing import (
    Bools,
    Floats,
    Shared,
    Side,
    Times,
    contrast,
    known_tasks,
    mean_over,
    over_turns,
    same_answers,
)
from draftwise.analysis.run import RunData

OVERALL = "overall"

Figures = dict[str, Any]


class _Found(NamedTuple):
    """What two runs found of one cell on the shared prompts."""

    times: tuple[Times, Times]
    same: Floats  # [P, T] whether the ids are the same
    change: Floats  # [P, T] of the score

    def of(self, mask: Bools) -> _Found:
        """The same of some of the prompts."""
        first, second = (Times(*(values[mask] for values in times)) for times in self.times)
        return _Found((first, second), self.same[mask], self.change[mask])


class Pair:
    """The figures of two runs on the prompts that they share."""

    def __init__(self, first: RunData, other: RunData, shared: Shared) -> None:
        self._shared = shared
        self._checks = first.checks, other.checks
        self._sides = Side(first.frame, first.checks, shared), Side(other.frame, other.checks, shared)
        self._base = self._paces(BASELINE)
        self._seed = first.settings.decoding.seed
        self._draws: dict[tuple[int, ...], Resampling] = {}

    def parts(self, labels: Sequence[str]) -> dict[str, dict[str, Figures]]:
        """The figures by part and label."""
        subtasks = np.asarray(self._shared.subtasks)
        masks = {OVERALL: np.ones(len(subtasks), bool)}
        for name in dict.fromkeys(self._shared.subtasks):
            masks[f"subtask {name}" if name == OVERALL else name] = subtasks == name
        parts: dict[str, dict[str, Figures]] = {part: {} for part in masks}
        for label in labels:
            found = self._find(label)
            for part, mask in masks.items():
                parts[part][label] = self._figures(label, found.of(mask), mask)
        return parts

    def other_history(self) -> int:
        """How many turns have a prompt of another length: their conversations went another way."""
        first, second = (side.prompt_tokens() for side in self._sides)
        return int((np.isfinite(first) & np.isfinite(second) & (first != second)).sum())

    def _paces(self, label: str) -> tuple[Floats, Floats]:
        return self._sides[0].times(label).pace, self._sides[1].times(label).pace

    def _find(self, label: str) -> _Found:
        first, second = self._sides
        return _Found(
            (first.times(label), second.times(label)),
            same_answers(*self._checks, label, self._shared),
            second.scores(label) - first.scores(label),
        )

    def _figures(self, label: str, found: _Found, mask: Bools) -> Figures:
        paces = found.times[0].pace, found.times[1].pace
        gains = self._base[0][mask] - paces[0], self._base[1][mask] - paces[1]
        known = known_tasks(paces[0]), known_tasks(paces[1])
        more = NOTHING if label == BASELINE else self._ratio(gains[1], gains[0])
        return {
            **_judged("speed", self._ratio(paces[0], paces[1])),
            **_judged("speedup", more),
            **_rates(*found.times, known[0] & known[1]),
            "agreement": float(np.nanmean(found.same)) if np.isfinite(found.same).any() else None,
            **named("quality_change", self._mean(found.change)),
            "prompts": int((known[0] & known[1]).any(axis=1).sum()),
            "unpaired": int((known[0] ^ known[1]).sum()),
        }

    def _ratio(self, upper: Floats, lower: Floats) -> Estimate:
        """The geometric mean over prompts of the exponential of a difference between the runs."""
        tasks = known_tasks(upper) & known_tasks(lower)
        values = contrast(over_turns(upper, tasks), over_turns(lower, tasks))
        return self._resampling(values).geometric_mean(values)

    def _mean(self, change: Floats) -> Estimate:
        """The mean over prompts of the mean over turns of a change in quality."""
        values = over_turns(change[:, :, None, None], np.isfinite(change))
        return self._resampling(values).mean(values, within=(-1.0, 1.0))

    def _resampling(self, values: Floats) -> Resampling:
        shape = prompts, sessions, repeats = values.shape
        return self._draws.setdefault(shape, Resampling((prompts, sessions, repeats), self._seed))


def _rates(first: Times, second: Times, tasks: Bools) -> Figures:
    """Tokens by seconds in each run, every prompt by the mean of its samples, and the plain ratio of the two."""
    rates: list[float | None] = []
    for side in (first, second):
        tokens, seconds = (float(np.nansum(mean_over(over_turns(part, tasks), (1, 2)))) for part in side)
        rates.append(tokens / seconds if seconds else None)
    old, new = rates
    return {
        "first_tokens_per_second": old,
        "second_tokens_per_second": new,
        "rate_ratio": new / old if old and new else None,
    }


def _judged(name: str, found: Estimate) -> Figures:
    """A ratio with its verdict; a single pair of samples shows nothing."""
    said = None if found.value is None else verdict(found.low, found.high) or "no difference shown"
    return named(name, found) | {f"{name}_verdict": said}
