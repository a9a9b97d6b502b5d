"""Ctrl-C and SIGTERM as a wish to stop after the current sample, so that the records stay whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from draftwise.errors import DraftwiseError


class StoppedEarlyError(DraftwiseError):
    """A run was stopped before it had anything to keep."""

    def __init__(self, signal_name: str) -> None:
        """Keep the name of the signal, such as "SIGINT"."""
        super().__init__(f"stopped by {signal_name} before the first sample; no run was written")
        self.signal = signal_name


class StopRequest:
    """While it is entered, the first SIGINT or SIGTERM only sets ``signal``; a second one acts as it always did."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal: str | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread set handlers
            self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    @property
    def requested(self) -> bool:
        """Whether somebody wants the run to end."""
        return self.signal is not None

    def check(self) -> None:
        """End at once, where nothing has been measured or written yet.

        Raises:
            StoppedEarlyError: a stop was requested.
        """
        if self.signal is not None:
            raise StoppedEarlyError(self.signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
