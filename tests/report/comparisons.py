"""A comparison of made-up runs, with every key that a comparison has."""

from __future__ import annotations

from typing import Any

SPREAD = ("speed", "speedup", "quality_change")


def cell(speed: float | None, speedup: float | None, quality: float | None = None, verdict: str = "") -> dict[str, Any]:
    """Figures with intervals of 5 % to either side of the ratios."""
    values = {"speed": speed, "speedup": speedup, "quality_change": quality}
    spans = {
        key: sorted((value * 0.95, value * 1.05)) if value is not None else (None, None)
        for key, value in values.items()
    }
    ends = {f"{key}_{end}": span[place] for key, span in spans.items() for place, end in enumerate(("low", "high"))}
    said = {f"{key}_verdict": None if values[key] is None else verdict or "no difference shown" for key in SPREAD[:2]}
    rest = {"first_tokens_per_second": 99.96, "second_tokens_per_second": 1234.5, "rate_ratio": 12.35}
    return {**values, **ends, **said, **rest, "agreement": 0.975, "prompts": 4, "unpaired": 0}


def make_comparison(**changes: Any) -> dict[str, Any]:
    """Two runs with three cells over two subtasks; ``changes`` are of their comparison."""
    cells = {
        "as": cell(1.0, None, 0.0),
        "sps": cell(0.9, 0.92, verdict="slower"),
        "bild": cell(1.2, 1.21, -0.1, verdict="faster"),
    }
    pair = {
        "name": "B",
        "differences": {"facts": {}, "settings": ["gamma is 4 in A and 6 in B"], "software": []},
        "titles": {"as": "AS", "sps": "SPS", "bild": "BiLD"},
        "prompts": {"shared": 4, "first_only": 0, "second_only": 0, "changed": 0, "other_history": 0},
        "first_only": [],
        "second_only": [],
        "parts": {"overall": cells, "qa": dict(cells)},
        "notes": ["B is incomplete: 30 of 60 samples were taken."],
    }
    runs = [
        {
            "name": name,
            "directory": f"runs/{name.lower()}",
            "samples": 60,
            "planned_samples": 60,
            "complete": True,
            "sessions": 3,
            "invalid": 0,
            "time": "2026-01-01T00:00:00+00:00",
        }
        for name in "AB"
    ]
    return {"schema": 1, "runs": runs, "comparisons": [pair | changes]}
