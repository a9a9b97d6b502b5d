"""The figures of one method over some samples, those of a subtask or of the whole run."""

from __future__ import annotations

from statistics import fmean, median
from typing import Any

from draftwise.analysis.bootstrap import Estimate, estimate, make_cells, mean_ratio, rate
from draftwise.analysis.samples import Pair, Samples, agreement, outliers, pairs, unpaired
from draftwise.bench.guard import check_rate
from draftwise.bench.records import Record
from draftwise.bench.settings import BenchSettings

Figures = dict[str, Any]
"""One method's values, each a number or None."""


def method_figures(
    own: Samples,
    baseline: Samples | None,
    settings: BenchSettings,
    environment: dict[str, Any],
    scores: dict[int, float],
) -> Figures:
    """Every figure of one method over some samples.

    Args:
        own: the method's samples.
        baseline: plain decoding's samples of the same prompts; None where it was not run.
        settings: the run's.
        environment: the run's; its bandwidth is what the rates are held against.
        scores: the score of a sample by its order.

    Raises:
        DraftwiseError: the rate is above what memory allows.
    """
    seed = settings.decoding.seed
    records = list(own.valid.values())
    found = pairs(baseline, own) if baseline is not None else []
    mild, far = outliers(own)
    return (
        _speeds(own.method, records, environment, seed)
        | _speedups(own.method, found, seed)
        | _acceptance(records)
        | {
            "agreement": agreement(found) if settings.decoding.temperature == 0 else None,
            "quality": _quality(records, scores),
            "ttft_seconds": median(record.ttft_ns for record in records) / 1e9 if records else None,
            "samples": len(records),
            "invalid": len(own.faults),
            "unpaired": unpaired(baseline, own) if baseline is not None else None,
            "outliers": mild,
            "far_outliers": far,
        }
    )


def _speeds(method: str, records: list[Record], environment: dict[str, Any], seed: int) -> Figures:
    tokens = sum(len(record.new_tokens) for record in records)
    passes = sum(len(record.rounds) for record in records)
    seconds = sum(record.decode_ns for record in records) / 1e9
    bandwidth, size = _bandwidth(environment), environment.get("bytes_per_pass")
    if records:
        check_rate(method, tokens, seconds, passes, bandwidth, size)
    decode = make_cells((r.prompt_id, r.repeat, (len(r.new_tokens), r.decode_ns / 1e9)) for r in records)
    total = make_cells((r.prompt_id, r.repeat, (len(r.new_tokens), r.total_ns / 1e9)) for r in records)
    return {
        **_named("tokens_per_second", estimate(decode, rate, seed)),
        **_named("end_to_end_tokens_per_second", estimate(total, rate, seed)),
        "new_tokens": tokens,
        "seconds": seconds,
        "bandwidth_share": passes / seconds * size / bandwidth if records and bandwidth and size else None,
    }


def _speedups(method: str, found: list[Pair], seed: int) -> Figures:
    decode = make_cells((p.other.prompt_id, p.other.repeat, (p.decode_log_ratio, 1)) for p in found)
    total = make_cells((p.other.prompt_id, p.other.repeat, (p.total_log_ratio, 1)) for p in found)
    return {
        **_named("speedup", estimate(decode, mean_ratio, seed)),
        **_named("end_to_end_speedup", estimate(total, mean_ratio, seed)),
        "speedup_total": _plain_ratio(found),
    }


def _plain_ratio(found: list[Pair]) -> float | None:
    if not found:
        return None
    before = sum(len(p.baseline.new_tokens) for p in found) / sum(p.baseline.decode_ns for p in found)
    return sum(len(p.other.new_tokens) for p in found) / sum(p.other.decode_ns for p in found) / before


def _acceptance(records: list[Record]) -> Figures:
    drafted = sum(item.drafted for record in records for item in record.rounds)
    accepted = sum(item.accepted for record in records for item in record.rounds)
    passes = sum(len(record.rounds) for record in records)
    tokens = sum(len(record.new_tokens) for record in records)
    return {
        "acceptance_length": tokens / passes if passes else None,
        "acceptance_length_by_request": (
            fmean(len(record.new_tokens) / len(record.rounds) for record in records) if records else None
        ),
        "acceptance_rate": accepted / drafted if drafted else None,
    }


def _quality(records: list[Record], scores: dict[int, float]) -> float | None:
    """The mean score over prompts and turns of the mean over repeats; None without references."""
    tasks: dict[tuple[str, int], list[float]] = {}
    for record in records:
        if record.order in scores:
            tasks.setdefault((record.prompt_id, record.turn), []).append(scores[record.order])
    return fmean(fmean(values) for values in tasks.values()) if tasks else None


def _bandwidth(environment: dict[str, Any]) -> float | None:
    """The faster of the two measurements, before and after the run: neighbours can only slow one down."""
    after = environment.get("after") or {}
    known = [part["bandwidth"] for part in (environment, after) if part.get("bandwidth")]
    return max(known, default=None)


def _named(name: str, found: Estimate) -> Figures:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
