"""Which samples count, which of them belong together, and which lie far from their fellows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from draftwise.bench.guard import sample_fault
from draftwise.bench.records import Record

Key = tuple[str, int, int]
"""Prompt id, turn and repeat: what all methods met alike."""


@dataclass(frozen=True, slots=True)
class Samples:
    """One method's samples, those that the guard refused apart with the reason."""

    method: str
    valid: dict[Key, Record]
    faults: tuple[tuple[Record, str], ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """The baseline's and a method's sample of the same prompt, turn and repeat."""

    baseline: Record
    other: Record

    @property
    def decode_log_ratio(self) -> float:
        """Log of how many times as fast the method decoded, by time per token."""
        return log(_per_token(self.baseline, self.baseline.decode_ns) / _per_token(self.other, self.other.decode_ns))

    @property
    def total_log_ratio(self) -> float:
        """The same by total time, prefill included."""
        return log(_per_token(self.baseline, self.baseline.total_ns) / _per_token(self.other, self.other.total_ns))


def _per_token(record: Record, nanoseconds: int) -> float:
    return nanoseconds / len(record.new_tokens)


def by_method(records: Sequence[Record], methods: Sequence[str], max_new_tokens: int) -> dict[str, Samples]:
    """The samples of each method, judged by the guard."""
    faults: dict[str, list[tuple[Record, str]]] = {method: [] for method in methods}
    valid: dict[str, dict[Key, Record]] = {method: {} for method in methods}
    for record in records:
        fault = sample_fault(record, max_new_tokens)
        if fault is None:
            valid[record.method][(record.prompt_id, record.turn, record.repeat)] = record
        else:
            faults[record.method].append((record, fault))
    return {method: Samples(method, valid[method], tuple(faults[method])) for method in methods}


def pairs(baseline: Samples, other: Samples) -> list[Pair]:
    """The pairs of which both samples are there and valid."""
    return [Pair(baseline.valid[key], record) for key, record in other.valid.items() if key in baseline.valid]


def unpaired(baseline: Samples, other: Samples) -> int:
    """How many valid samples of either lack their partner."""
    return len(baseline.valid.keys() ^ other.valid.keys())


def agreement(found: Sequence[Pair]) -> float | None:
    """The share of prompts (each turn for itself) whose ids equal the baseline's in every repeat."""
    equal: dict[tuple[str, int], bool] = {}
    for pair in found:
        task = (pair.other.prompt_id, pair.other.turn)
        equal[task] = equal.get(task, True) and pair.other.new_tokens == pair.baseline.new_tokens
    return sum(equal.values()) / len(equal) if equal else None


def outliers(samples: Samples) -> tuple[int, int]:
    """How many samples lie beyond 1.5 and beyond 3 interquartile ranges (Tukey), by decode time per token.

    Each is compared with the median of its own prompt, so that a hard prompt is no outlier. Nothing is dropped.
    """
    groups: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for (prompt, turn, _), record in samples.valid.items():
        groups[(prompt, turn)].append(log(_per_token(record, record.decode_ns)))
    away = np.concatenate([np.zeros(0), *(np.asarray(logs) - np.median(logs) for logs in groups.values())])
    # A sample that is its prompt's median is at 0 by definition and says nothing of the scatter.
    scatter = away[away != 0]
    if not len(scatter):
        return 0, 0
    first, third = np.quantile(scatter, (0.25, 0.75))
    beyond = np.maximum(first - away, away - third) / max(third - first, 1e-12)
    return int((beyond > 1.5).sum()), int((beyond > 3).sum())
