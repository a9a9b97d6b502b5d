"""How the page writes numbers, and the sentences that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTHING = "–"
MINUS = "−"


def fixed(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals and a true minus, or a dash for none."""
    return NOTHING if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """A number with its sign always written."""
    return NOTHING if value is None else f"{value:+.{digits}f}".replace("-", MINUS)


def rate(value: float | None) -> str:
    """Tokens a second: three or four digits that mean something."""
    return fixed(value, 0 if value is not None and abs(value) >= 100 else 1)


def percent(value: float | None, digits: int = 0) -> str:
    """A share as a percentage."""
    return NOTHING if value is None else f"{100 * value:.{digits}f}\u202f%"


def times(value: float | None) -> str:
    """A ratio."""
    return NOTHING if value is None else f"{value:.2f}×"


def span(figures: Mapping[str, Any], key: str, digits: int = 2) -> str:
    """The interval of a figure, such as ``1.85–1.95``; nothing where there is none."""
    low, high = figures.get(f"{key}_low"), figures.get(f"{key}_high")
    if low is None or high is None:
        return ""
    between = " to " if low < 0 or high < 0 else "–"
    return f"{fixed(low, digits)}{between}{fixed(high, digits)}"


def rate_span(figures: Mapping[str, Any], key: str) -> str:
    """The interval of a rate, with as many decimals as the rate."""
    value = figures.get(key)
    return span(figures, key, 0 if value is not None and abs(value) >= 100 else 1)


def size(count: float | None) -> str:
    """Bytes in the unit that fits."""
    if count is None:
        return NOTHING
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f}\u202f{name}"
    return f"{count:.0f}\u202fB"


def counted(count: int, name: str) -> str:
    """A number and its noun, such as ``1 repeat``, ``1,200 samples``."""
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def listed(items: list[str]) -> str:
    """Items in a sentence: a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
