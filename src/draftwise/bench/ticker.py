"""Counts the units of work of a run and tells the caller, between samples and never inside one."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with the units done, their total and what is being done."""


class Ticker:
    """One run's count."""

    def __init__(self, progress: Progress | None = None, total: int = 0) -> None:
        """Tell ``progress``, if anybody."""
        self.done, self.total, self._progress = 0, total, progress

    def __call__(self, label: str, units: int = 1) -> None:
        """So many units are done."""
        self.done += units
        self.total = max(self.total, self.done)
        if self._progress is not None:
            self._progress(self.done, self.total, label)
