"""How numbers are written in a report."""

from __future__ import annotations

from typing import Any

NOTHING = "–"


def number(value: float | None, digits: int) -> str:
    """A number with so many decimals, or a dash for none."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def interval(figures: dict[str, Any], key: str, digits: int) -> str:
    """A figure with its interval, such as ``1.90 [1.85–1.95]``."""
    value, low, high = figures[key], figures[f"{key}_low"], figures[f"{key}_high"]
    if value is None:
        return NOTHING
    return f"{value:.{digits}f} [{low:.{digits}f}–{high:.{digits}f}]"
