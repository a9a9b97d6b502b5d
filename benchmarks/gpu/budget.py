"""Time that runs out: for a part, and for the whole run, which ends on time whatever a part does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import perf_counter


class Budget:
    """Seconds from now on."""

    def __init__(self, seconds: float) -> None:
        """Begin to count."""
        self._end = perf_counter() + seconds

    @property
    def left(self) -> float:
        """The seconds that are left, never below 0."""
        return max(0.0, self._end - perf_counter())

    def share(self, weight: float, weights_left: float) -> Budget:
        """A part's own: what is left, in proportion to its weight among those still to come, itself included.

        What a part leaves over is the later ones'.
        """
        return Budget(self.left * weight / weights_left)


class LastResort:
    """Ends the process where a part doesn't come back, such as from a kernel that hangs."""

    def __init__(self, seconds: float, last_words: Callable[[], None]) -> None:
        """Call ``last_words`` and end with code 1 after so many seconds, unless it was called off."""
        self._last_words = last_words
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def call_off(self) -> None:
        """Let the process go on."""
        self._timer.cancel()

    def _end(self) -> None:
        try:
            self._last_words()
        finally:
            os._exit(1)
