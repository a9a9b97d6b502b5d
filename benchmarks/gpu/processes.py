"""Other programs, each of which ends on time together with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]

_running: list[subprocess.Popen[bytes]] = []


def run_within(
    command: Sequence[str], seconds: float, log: Path, *, stop: signal.Signals = signal.SIGTERM, grace: float = 5.0
) -> int:
    """Run a program from the repository's root and give its exit code; below 0 is the signal that ended it.

    Args:
        command: the program and its arguments.
        seconds: how long it may take before it gets the signal ``stop``.
        log: the file that takes what it writes.
        stop: the signal.
        grace: seconds after which it is killed nevertheless.

    Raises:
        RuntimeError: no time is left to begin.
        subprocess.TimeoutExpired: it had to be killed.
    """
    if seconds <= 0:
        raise RuntimeError("no time was left for it")
    with log.open("wb") as file:
        child = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        _running.append(child)
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(stop)
            return child.wait(grace)
        finally:
            _kill(child)
            _running.remove(child)


def kill_all() -> None:
    """End what is still running, when there is no time left to ask."""
    for child in list(_running):
        _kill(child)


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
