"""What a summary says of its cells, by label, and how things are counted in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from draftwise.bench.cells import BASELINE, FLOOR
from draftwise.bench.told import counted

__all__ = ["BASELINE", "FLOOR", "counted", "lossless", "method", "title"]


def title(summary: Mapping[str, Any], label: str) -> str:
    """A cell's name as people write it."""
    return str(_row(summary, label).get("title", label))


def method(summary: Mapping[str, Any], label: str) -> str:
    """The name of a cell's method."""
    return str(_row(summary, label).get("method", label))


def lossless(summary: Mapping[str, Any], label: str) -> bool:
    """Whether a cell gives what plain decoding gives."""
    return bool(_row(summary, label).get("lossless", True))


def _row(summary: Mapping[str, Any], label: str) -> dict[str, Any]:
    rows: dict[str, dict[str, Any]] = summary["environment"].get("methods") or {}
    return rows.get(label, {})
