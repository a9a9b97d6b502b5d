"""The processes of the peers, of which one works at a time; the next begins when the last has gone to sleep.

OpenMP's threads spin for a while after their work (Intel's 200 ms) in the hope of more. To forbid that would slow the
peers down, so the one who takes turns waits until a process's CPU time stands still, and writes down what the idle ones
used nevertheless.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter, sleep
from typing import Any

import psutil

from benchmarks.peers.cases import Case

ROOT = Path(__file__).parents[2]
STILL_SECONDS = 0.03
"""A process that used no CPU time for so long sleeps; the system counts it in hundredths of a second."""
PATIENCE_SECONDS = 1.0


class Refused(Exception):
    """What a peer can't do, or how it failed, in one line."""


class PeerProcess:
    """A worker and the pipes to it."""

    def __init__(self, peer: str, threads: int) -> None:
        """Start it; OpenMP makes as many threads as asked for, which every peer's own setting says as well."""
        command = [sys.executable, "-m", "benchmarks.peers.worker", peer]
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self.errors = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1", "PYTHONPATH": paths},
        )
        self.busy = psutil.Process(self.process.pid)
        self.used_asleep = 0.0  # CPU seconds while others worked
        self.slept = 0.0  # seconds of that
        self._asleep: tuple[float, float] | None = None  # since when, and the CPU time then

    def load(self, case: Case) -> dict[str, Any]:
        """Load a pair; as ``Worker.load``."""
        return self.ask("load", case=asdict(case))

    def load_passes(self, case: Case) -> dict[str, Any]:
        """Load a target alone; as ``Worker.load_passes``."""
        return self.ask("load_passes", case=asdict(case))

    def ask(self, operation: str, **details: Any) -> dict[str, Any]:
        """Have it do something, and wait until it sleeps again.

        Raises:
            Refused: it can't, failed, or has ended.
        """
        self._wake()
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"operation": operation, **details}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Refused(f"its process ended with code {self.process.wait()}: {self._last_words()}")
        self._settle()
        answer = json.loads(line)
        if "found" in answer:
            return dict(answer["found"])
        raise Refused(answer.get("unable") or answer["failed"])

    def close(self) -> None:
        """End it."""
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended by itself
                self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.errors.close()

    def _last_words(self) -> str:
        self.errors.seek(0)
        return (self.errors.read().strip() or "no message").splitlines()[-1]

    def _used(self) -> float:
        times = self.busy.cpu_times()
        return float(times.user + times.system)

    def _wake(self) -> None:
        if self._asleep is not None and self.process.poll() is None:
            since, used = self._asleep
            self.slept += perf_counter() - since
            self.used_asleep += self._used() - used

    def _settle(self) -> None:
        """Wait until its threads sleep."""
        end = perf_counter() + PATIENCE_SECONDS
        used = self._used()
        while perf_counter() < end:
            sleep(STILL_SECONDS)
            before, used = used, self._used()
            if used == before:
                break
        self._asleep = (perf_counter(), used)
