"""Forks processes that have imported everything already, so that a command starts in milliseconds.

``python nursery.py`` reads a job a line and answers with a line: to a job with ``args`` the id of the process that was
forked for it, to one with ``wait`` how that process ended and what it said.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

SECONDS = 60.0
IMPORTED = ("draftwise.analysis.summary", "draftwise.cli.bench", "draftwise.report.page", "child")


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, negative for a signal, and what it said."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of error that a command ends with."""
        assert self.code == 2 and "Traceback" not in self.err, self
        lines = [line for line in self.err.splitlines() if "error" in line]
        assert len(lines) == 1 and lines[0] == self.err.splitlines()[-1], self.err
        assert lines[0].startswith("draftwise: error: "), self.err
        return lines[0].removeprefix("draftwise: error: ")

    @property
    def died_in(self) -> str:
        """What a process was about when its planted death met it: an event, and the label of the work."""
        return next((line[6:] for line in self.err.splitlines() if line.startswith("died: ")), "")


class Nursery:
    """The process that forks, seen from a test."""

    def __init__(self) -> None:
        """Start it; it takes the seconds that the imports take."""
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def _ask(self, job: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, *args: object, **job: Any) -> int:
        """Begin a command; its process id."""
        pid: int = self._ask({"args": [str(item) for item in args], **job})
        return pid

    def wait(self, pid: int) -> Ended:
        """Wait for its end."""
        return Ended(*self._ask({"wait": pid}))

    def run(self, *args: object, **job: Any) -> Ended:
        """Run a command to its end."""
        return self.wait(self.start(*args, **job))


def _serve() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    pipes: dict[int, list[int]] = {}
    for line in sys.stdin:
        job = json.loads(line)
        if "args" in job:
            answer: Any = _fork(job, pipes)
        else:
            answer = [_reap(job["wait"]), *map(_read, pipes.pop(job["wait"]))]
        print(json.dumps(answer), flush=True)


def _fork(job: dict[str, Any], pipes: dict[int, list[int]]) -> int:
    from child import end_with, live

    ends = [os.pipe(), os.pipe()]
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, (_, writing) in enumerate(ends, 1):
            os.dup2(writing, number)
        os.closerange(3, 256)
        end_with(lambda: live(job))
    for _, writing in ends:
        os.close(writing)
    pipes[pid] = [reading for reading, _ in ends]
    return pid


def _reap(pid: int) -> int:
    end = time.monotonic() + SECONDS
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGABRT)
        time.sleep(0.005)


def _read(pipe: int) -> str:
    """What is in a pipe; a session that outlives its parent may still hold the other end."""
    os.set_blocking(pipe, False)
    parts = []
    with contextlib.suppress(BlockingIOError):
        while part := os.read(pipe, 1 << 16):
            parts.append(part)
    os.close(pipe)
    return b"".join(parts).decode("utf-8", "replace")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    _serve()
