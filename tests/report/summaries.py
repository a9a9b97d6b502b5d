"""A summary of a made-up run, with every key that a run's has."""

from __future__ import annotations

from typing import Any

SPREAD = (
    "tokens_per_second",
    "end_to_end_tokens_per_second",
    "speedup",
    "end_to_end_speedup",
    "speedup_total",
    "quality",
)
MODEL = {"name": "builtin", "implementation": "own", "dtype": "float32", "device": "cpu"}


def figures(
    rate: float | None, speedup: float | None = None, quality: float | None = 0.5, change: float | None = None
) -> dict[str, Any]:
    """Figures with intervals of 10 % to either side; 0.02 to either side of a change in quality."""
    values = dict(zip(SPREAD, (rate, rate, speedup, speedup, speedup, quality), strict=True))
    spans = {f"{key}_{end}": v and v * by for key, v in values.items() for end, by in (("low", 0.9), ("high", 1.1))}
    verdict = None if speedup is None else "faster" if speedup > 1.12 else "slower" if speedup < 0.9 else None
    shift = {"quality_change": change, "quality_change_low": change and change - 0.02}
    return {
        **values,
        **spans,
        **shift,
        "quality_change_high": change and change + 0.02,
        "verdict": verdict or (None if speedup is None else "no difference shown"),
        "new_tokens": 1200,
        "seconds": 3.25,
        "ttft_seconds": 0.004,
        "samples": 18,
        "invalid": 1,
        "unpaired": 2,
        "outliers": 3,
        "far_outliers": 0,
        "repeats_for_1_percent": 7,
        "target_passes": 480,
        "bandwidth_share": 0.34,
        "agreement": 1.0,
        "divergence": {"share": 0.25, "median": 6.0, "earliest": 0},
        "acceptance_length": 2.5,
        "acceptance_length_by_request": 2.75,
        "acceptance_rate": None,
        "acceptance": None,
        "time": {"draft": 0.0, "verify": 0.9, "judge": 0.0, "engine": 0.08, "wait": 0.02, "round_ns": 900_000.0},
        "cost": None,
    }


def itself(rate: float) -> dict[str, Any]:
    """The figures of plain decoding: compared with itself it gives exactly 1."""
    return figures(rate, 1.0) | {f"{key}_{end}": 1.0 for key in SPREAD[2:5] for end in ("low", "high")}


def drafted(own: dict[str, Any], positions: int = 4, unsure: float | None = None) -> dict[str, Any]:
    """The figures of a cell that drafts so many tokens a round."""
    acceptance = {
        "length": 2.5,
        "rate": 0.61,
        "unconditional": [round(0.8**place, 4) for place in range(1, positions + 1)],
        "conditional": [0.8] * (positions - 1) + [None],
        "histogram": [5, *range(1, positions + 1)],
        "wasted_per_token": 0.33,
        "fallbacks_per_token": unsure,
    }
    cost = {"c": 0.2, "v": [1.0, 1.05, 1.1], "expected_speedup": 1.9, "formula_speedup": None, "break_even": 2.1}
    time = {"draft": 0.3, "verify": 0.5, "judge": 0.1, "engine": 0.08, "wait": 0.02, "round_ns": 1_500_000.0}
    return own | {"acceptance": acceptance, "acceptance_rate": 0.61, "cost": cost, "time": time}


def make_summary() -> dict[str, Any]:
    """Plain decoding, its noise floor, SPS and BiLD on two subtasks; incomplete."""
    cells = {
        "as": itself(123.449),
        "as*": figures(123.0, 1.0),
        "sps": drafted(figures(234.56, 1.87)),
        "bild": drafted(figures(200, 1.6, 0.4, -0.1), positions=6, unsure=0.2),
    }
    said = {
        "sps": "SPS gains: 2.5 tokens a pass, 2.1 needed to break even.",
        "bild": "BiLD gains: 2.5 tokens a pass, 2.0 needed to break even.",
    }
    return {
        "schema": 3,
        "complete": False,
        "samples": 54,
        "planned_samples": 63,
        "settings": {
            "methods": ["as", "as*", "sps", "bild"],
            "suite": "builtin",
            "repeats": 3,
            "sessions": 1,
            "dtype": "float32",
            "decoding": {
                "temperature": 0.0,
                "max_new_tokens": 30,
                "seed": 0,
                "gamma": 4,
                "fallback_threshold": 0.6,
                "rollback_threshold": 3.0,
                "max_draft_tokens": 10,
            },
        },
        "environment": {
            "command": "draftwise bench",
            "models": {"target": MODEL, "drafts": [MODEL]},
            "versions": {"draftwise": "0.1.0", "torch": "2.13.0"},
            "revision": {"commit": "0123456789abcdef", "dirty": True},
            "cpu": "Some CPU @ 2 GHz",
            "cores": 2,
            "threads": 2,
            "load_average": [0.5, 0.5, 0.5],
            "prompts": 6,
            "bandwidth": 29.5e9,
            "bytes_per_pass": 26_900_000,
            "gpu": None,
            "methods": {
                "as": {"method": "as", "title": "AS", "lossless": True, "draft": None, "options": {}},
                "as*": {"method": "as*", "title": "AS*", "lossless": True, "draft": None, "options": {}},
                "sps": {"method": "sps", "title": "SPS", "lossless": True, "draft": "b", "options": {"gamma": 4}},
                "bild": {
                    "method": "bild",
                    "title": "BiLD",
                    "lossless": False,
                    "draft": "b",
                    "options": {"fallback_threshold": 0.6},
                },
            },
        },
        "overall": cells,
        "subtasks": {"multi-turn": cells, "grammar correction": cells},
        "invalid": [],
        "invalid_count": 0,
        "costs": {"schema": 3, "context": 64, "passes": 50, "target": {"1": 900_000, "2": 945_000}, "drafts": {}},
        "explanations": {"overall": said, "multi-turn": said, "grammar correction": said},
        "best": {},
        "warnings": ["The run is incomplete: 54 of 63 samples were taken."],
    }
