"""How numbers are written in a report."""

from __future__ import annotations

from typing import Any

from draftwise.analysis.names import BASELINE

NOTHING = "–"

FASTER, SLOWER, NO_DIFFERENCE = "faster", "slower", "no difference shown"
"""The verdicts of a comparison with plain decoding."""
SIGNS = {FASTER: "▲", SLOWER: "▼", NO_DIFFERENCE: "≈"}
"""How a verdict is written where there is no room for words."""


COMPARED = ("speedup", "end_to_end_speedup", "speedup_total")
"""The figures that compare a cell with plain decoding."""


def compared(label: str, figures: dict[str, Any]) -> dict[str, Any]:
    """A cell's figures as they are shown: plain decoding is no news to itself, and its ratio of 1 has no interval."""
    if label != BASELINE:
        return figures
    return figures | {"verdict": None} | {f"{key}_{end}": None for key in COMPARED for end in ("low", "high")}


def number(value: float | None, digits: int) -> str:
    """A number with so many decimals, or a dash for none."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def change(value: float | None, digits: int) -> str:
    """A difference with its sign, or a dash for none; what rounds to zero has no sign."""
    if value is None:
        return NOTHING
    rounded = round(value, digits)
    return f"{'−' if rounded < 0 else '+' if rounded > 0 else ''}{abs(rounded):.{digits}f}"


def share(value: float | None) -> str:
    """A part of a whole in percent, or a dash for none."""
    return NOTHING if value is None else f"{value:.0%}"


def interval(figures: dict[str, Any], key: str, digits: int) -> str:
    """A figure with its interval, such as ``1.90 [1.85–1.95]``; alone where it has none."""
    value, low, high = figures[key], figures[f"{key}_low"], figures[f"{key}_high"]
    if value is None or low is None or high is None:
        return number(value, digits)
    return f"{value:.{digits}f} [{low:.{digits}f}–{high:.{digits}f}]"


def rate_interval(figures: dict[str, Any], key: str = "tokens_per_second") -> str:
    """Tokens a second with their interval, without decimals from 100 on."""
    value = figures[key]
    return interval(figures, key, 0 if value is not None and value >= 100 else 1)


def change_interval(figures: dict[str, Any], key: str, digits: int) -> str:
    """A difference with its interval, such as ``−0.100 [−0.120 to −0.080]``."""
    value, low, high = figures[key], figures[f"{key}_low"], figures[f"{key}_high"]
    if value is None or low is None or high is None:
        return change(value, digits)
    return f"{change(value, digits)} [{change(low, digits)} to {change(high, digits)}]"
