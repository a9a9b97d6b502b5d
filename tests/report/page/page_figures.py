"""Figures for a made-up run: the summary's keys, with values that a run could have."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from draftwise.analysis.frame import frame_of
from draftwise.bench.records import Check, Sample
from page_fixture import AS, Profile, Shape, check_groups, environment_of, prompts_of

SPREAD = ("speedup", "end_to_end_speedup", "speedup_total", "tokens_per_second", "end_to_end_tokens_per_second")
EMPTY: dict[str, Any] = {
    **{f"{key}{end}": None for key in (*SPREAD, "quality", "quality_change") for end in ("", "_low", "_high")},
    **dict.fromkeys(
        ("verdict", "ttft_seconds", "repeats_for_1_percent", "bandwidth_share", "acceptance", "acceptance_length",
         "acceptance_length_by_request", "acceptance_rate", "time", "cost", "agreement", "divergence")
    ),
    **dict.fromkeys(("samples", "invalid", "unpaired", "outliers", "far_outliers", "new_tokens", "target_passes"), 0),
    "seconds": 0.0,
}


def build(shape: Shape | None = None) -> tuple[Any, dict[str, Any]]:
    """A run and its summary."""
    shape = shape or Shape()
    prompts = prompts_of(shape)
    groups = list(check_groups(shape, prompts))
    environment = environment_of(shape)
    parts = {"overall": groups} | {s: [g for g in groups if g[0].subtask == s] for s in shape.subtasks}
    tables = {part: _table(shape, part, own) for part, own in parts.items()}
    planned = len(groups) * len(shape.cells) * shape.repeats
    costs = _costs() if shape.costs else None
    summary = {
        "schema": 3, "complete": True, "samples": planned, "planned_samples": planned,
        "settings": _settings(shape), "environment": environment,
        "overall": tables["overall"], "subtasks": {s: tables[s] for s in shape.subtasks},
        "invalid": [], "invalid_count": 0, "costs": costs,
        "explanations": {part: {label: f"{p.title} gains here: 2.9 tokens a pass, 2.1 needed to break even."
                                for label, p in shape.cells.items() if p.most} for part in parts},
        "best": {part: _best(table) for part, table in tables.items()} if len(shape.cells) > 4 else {}, "warnings": ["BiLD is lossy: its answers score 0.781 where those of AS score 0.804."],
    }
    run = SimpleNamespace(
        directory=None, settings=None, environment=environment, prompts=tuple(prompts), frame=frame_of(samples_of(shape, groups), {}, list(shape.cells), shape.tokens),
        checks=None, costs=costs, planned=planned, end={}, check_groups=lambda: iter(groups),
    )
    return run, summary


def _best(table: dict[str, dict[str, Any]]) -> dict[str, str]:
    rated = {label: own["speedup"] for label, own in table.items() if own["speedup"] is not None}
    lossless = {label: value for label, value in rated.items() if not label.startswith("bild")}
    return {"lossless": max(lossless, key=lossless.__getitem__), "any": max(rated, key=rated.__getitem__)}


def _settings(shape: Shape) -> dict[str, Any]:
    return {
        "target": "builtin", "draft": None, "methods": list(dict.fromkeys(p.method for p in shape.cells.values())),
        "suite": "builtin", "repeats": shape.repeats, "sessions": 1, "warmups": 1, "dtype": "float32",
        "decoding": {"temperature": 0.0, "max_new_tokens": shape.tokens, "seed": 0, "gamma": 4,
                     "fallback_threshold": 0.6, "rollback_threshold": 3.0, "max_draft_tokens": 10}, "sweep": {},
    }


def _costs() -> dict[str, Any]:
    return {
        "schema": 3, "context": 64, "passes": 50,
        "target": {str(k): int(1e6 * (1 + 0.06 * (k - 1) + 0.02 * (k > 8))) for k in range(1, 12)},
        "drafts": {"builtin": {"1": 210_000, "2": 221_000}},
    }


def _table(shape: Shape, part: str, groups: list[list[Check]]) -> dict[str, dict[str, Any]]:
    return {label: _figures(shape, part, label, profile, groups) for label, profile in shape.cells.items()}


def _figures(shape: Shape, part: str, label: str, p: Profile, groups: list[list[Check]]) -> dict[str, Any]:
    rng = random.Random(f"{part}/{label}")
    own = [c for group in groups for c in group if c.method == label]
    base = {(c.prompt_id, c.turn): c for group in groups for c in group if c.method == "as"}
    speed = p.speed * (1 + (0 if part == "overall" else rng.uniform(-0.3, 0.15))) if p.most else p.speed
    half = 0.012 if part == "overall" else 0.05
    rate = 410.0
    figures = dict(EMPTY)
    for key, value in (("tokens_per_second", rate * speed), ("end_to_end_tokens_per_second", 0.9 * rate * speed)):
        figures |= {key: value, f"{key}_low": value * (1 - half), f"{key}_high": value * (1 + half)}
    if p is not AS and "as" in shape.cells:
        for key, shift in (("speedup", 1.0), ("end_to_end_speedup", 0.94), ("speedup_total", 0.99)):
            value = speed * shift
            figures |= {key: value, f"{key}_low": value * (1 - half), f"{key}_high": value * (1 + half)}
        low, high = figures["speedup_low"], figures["speedup_high"]
        figures["verdict"] = "faster" if low > 1 else "slower" if high < 1 else "no difference shown"
    scores = sum(c.score or 0 for c in own) / len(own)
    same = [c.new_tokens == base[c.prompt_id, c.turn].new_tokens for c in own] if base else []
    figures |= {
        "quality": scores, "quality_low": scores - 0.03, "quality_high": min(1, scores + 0.03),
        "samples": len(own) * shape.repeats, "new_tokens": sum(len(c.new_tokens) for c in own) * shape.repeats,
        "target_passes": sum(len(c.rounds) for c in own) * shape.repeats, "seconds": 3.2, "ttft_seconds": 0.0041,
        "outliers": 3, "far_outliers": 1, "bandwidth_share": 0.82 / speed ** 0.5, "agreement": None,
        "repeats_for_1_percent": 4,
    }
    figures["acceptance_length"] = figures["new_tokens"] / max(1, figures["target_passes"])
    figures["acceptance_length_by_request"] = figures["acceptance_length"] * 1.03
    if base:
        figures["agreement"] = sum(same) / len(same)
        change = 0.0 if p.lossless else scores - 1
        figures |= {"quality_change": change, "quality_change_low": change - (0 if p.lossless else 0.02),
                    "quality_change_high": change + (0 if p.lossless else 0.02)}
        if not all(same):
            figures["divergence"] = {"share": 1 - sum(same) / len(same), "median": 7.0, "earliest": 0}
    figures["time"] = _time(own)
    if p.most:
        figures |= _drafting(shape, p, own, speed)
    return figures


def _time(own: Sequence[Check]) -> dict[str, float]:
    rounds = [r for c in own for r in c.rounds]
    sums = {key: sum(getattr(r, f"{key}_ns") for r in rounds) for key in ("draft", "verify", "judge", "engine", "wait")}
    total = sum(sums.values())
    return {key: value / total for key, value in sums.items()} | {"round_ns": total / len(rounds)}


def _drafting(shape: Shape, p: Profile, own: Sequence[Check], speed: float) -> dict[str, Any]:
    rounds = [r for c in own for r in c.rounds]
    reached = Counter(i for r in rounds for i in range(r.accepted))
    tried = Counter(i for r in rounds for i in range(r.drafted))
    counts = Counter(r.accepted for r in rounds)
    drafted, accepted = sum(r.drafted for r in rounds), sum(r.accepted for r in rounds)
    length = sum(r.emitted for r in rounds) / len(rounds)
    unconditional = [reached[i] / len(rounds) for i in range(p.most)]
    conditional = [reached[i] / tried[i] if tried[i] else None for i in range(p.most)]
    bild = p.method == "bild"
    acceptance = {
        "length": length, "length_by_request": length * 1.03, "rate": accepted / drafted,
        "unconditional": unconditional, "conditional": conditional,
        "histogram": [counts[i] for i in range(p.most + 1)], "rounds": len(rounds), "drafted": drafted,
        "accepted": accepted, "wasted": drafted - accepted, "wasted_per_token": (drafted - accepted) / 9000,
        "drafted_per_round": drafted / len(rounds), "draft_passes_per_round": drafted / len(rounds) + 1,
        "small_model_share": accepted / sum(r.emitted for r in rounds),
        "fallbacks_per_token": 0.21 if bild else None, "rollbacks_per_token": 0.06 if bild else None,
    }
    v = [1 + 0.06 * k for k in range(p.most + 1)]
    cost = {"c": 0.21, "v": v, "round_cost": 0.21 * p.most + v[-1], "expected_speedup": speed * 1.08,
            "formula_speedup": None if bild else speed * 1.15, "break_even": 0.21 * p.most + v[-1], "gap": 1 / 1.08}
    return {"acceptance": acceptance, "acceptance_rate": acceptance["rate"], "cost": cost if shape.costs else None}


def samples_of(shape: Shape, groups: list[list[Check]]) -> Iterator[Sample]:
    """Timed samples whose times scatter between repeats, a few of them far out."""
    rng = random.Random(shape.seed)
    order = 0
    for repeat in range(shape.repeats):
        for group in groups:
            for check in group:
                slow = 1 + 1.6 * (rng.random() < 0.003)
                ms = 2.44 / shape.cells[check.method].speed * rng.lognormvariate(0, 0.03) * slow
                decode = int(ms * 1e6 * len(check.new_tokens))
                yield Sample(
                    prompt_id=check.prompt_id, subtask=check.subtask, turn=check.turn, method=check.method, session=0,
                    repeat=repeat, order=order, seed=check.seed, prompt_tokens=check.prompt_tokens,
                    new_tokens=check.new_tokens, passes=len(check.rounds), compilations=0, prefill_ns=4_000_000,
                    ttft_ns=4_000_000 + decode // len(check.rounds), decode_ns=decode, total_ns=4_100_000 + decode,
                )
                order += 1
