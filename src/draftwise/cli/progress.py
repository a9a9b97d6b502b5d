"""Shows on stderr how far a run is: a bar on a terminal, elsewhere a line every ten seconds.

Nothing is drawn but when the run reports, which is between samples: a bar that redraws itself from a thread of its own
would take processor time from what is being measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import click

Progress = Callable[[int, int, str], None]

_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 10.0


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A function to call with the units done, their total and what is being done."""
    if not sys.stderr.isatty():
        yield _Rhythm(_LINE_SECONDS, _print_line)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    counts = TextColumn("{task.completed}/{task.total}{task.fields[left]}")
    with Progress(
        TextColumn("{task.description:<15}"),
        BarColumn(),
        counts,
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
    ) as bar:
        task = bar.add_task("", left="")

        def draw(done: int, total: int, label: str, left: str) -> None:
            bar.update(task, completed=done, total=total, description=label, left=left, refresh=True)

        yield _Rhythm(_REDRAW_SECONDS, draw)


class _Rhythm:
    """Passes a report on where enough time has gone by since the last one, with the time left."""

    def __init__(self, seconds: float, show: Callable[[int, int, str, str], None]) -> None:
        self._seconds, self._show = seconds, show
        self._started = self._last = monotonic()

    def __call__(self, done: int, total: int, label: str) -> None:
        now = monotonic()
        if now - self._last < self._seconds:
            return
        self._last = now
        seconds = (now - self._started) / done * (total - done) if done else 0
        self._show(done, total, label, f", {clock(seconds)} left" if done else "")


def _print_line(done: int, total: int, label: str, left: str) -> None:
    click.echo(f"{label}: {done}/{total}{left}", err=True)


def clock(seconds: float) -> str:
    """Seconds as ``m:ss``, from an hour on as ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
