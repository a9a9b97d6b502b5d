"""What a summary says of its methods, and how things are counted in words."""

from __future__ import annotations

from typing import Any

from draftwise.bench.inputs import BASELINE

__all__ = ["BASELINE", "counted", "lossless", "title"]


def title(summary: dict[str, Any], method: str) -> str:
    """A method's name as people write it."""
    return str(_row(summary, method).get("title", method))


def lossless(summary: dict[str, Any], method: str) -> bool:
    """Whether a method gives what plain decoding gives."""
    return bool(_row(summary, method).get("lossless", True))


def counted(count: int, thing: str) -> str:
    """A number of things in words, such as ``3 repeats``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _row(summary: dict[str, Any], method: str) -> dict[str, Any]:
    rows: dict[str, dict[str, Any]] = summary["environment"].get("methods") or {}
    return rows.get(method, {})
