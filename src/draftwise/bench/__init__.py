"""A bench run: what is measured in which order, the runner, and the records that it leaves."""

from __future__ import annotations

from draftwise.bench.settings import BenchSettings

__all__ = ["BenchSettings"]
