"""Sessions in fresh processes: what a process was dealt when it began (memory, cores, neighbours) stays with it.

``python -m draftwise.bench.sessions DIRECTORY SESSION PARENT`` takes what is missing of one session of a run that is
there; it says on stdout how far it is, and what went wrong. The caller, whose process id is PARENT, must not hold the
models in memory meanwhile.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from draftwise.bench.interrupt import StopRequest
from draftwise.bench.ticker import Ticker
from draftwise.errors import DraftwiseError

COMMAND = (sys.executable, "-m", "draftwise.bench.sessions")

_TELL_SECONDS = 2.0
_ERROR = "error"


def take_session(directory: Path, session: int, stop: StopRequest, ticker: Ticker) -> None:
    """Measure a session in a process of its own and wait for its end.

    A stop that is requested here is passed on. Ctrl-C at a terminal reaches this process alone, so that the other isn't
    told twice.

    Raises:
        DraftwiseError: the process failed; the samples that it took stand.
    """
    command = [*COMMAND, str(directory), str(session), str(os.getpid())]
    failed = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True) as child:
        assert child.stdout is not None
        told = False
        for line in _lines(child.stdout):
            first, _, rest = line.partition(" ")
            if first == _ERROR:
                failed = rest
            elif line:
                ticker(rest, int(first))
            if stop.requested and not told:
                told = True
                child.terminate()
    if failed:
        raise DraftwiseError(failed)
    if child.returncode and not (told and child.returncode == -signal.SIGTERM):  # told before it could listen
        raise DraftwiseError(
            f"session {session + 1} ended with code {child.returncode}; what it measured is kept in {directory}; "
            "run the same command again to go on"
        )


def _lines(pipe: IO[bytes]) -> Iterator[str]:
    """What a process says, line by line, and an empty line now and then while it says nothing."""
    with selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        while True:
            if not ready.select(timeout=0.2):
                yield ""
                continue
            line = pipe.readline()
            if not line:
                return
            yield line.decode("utf-8", "replace").rstrip("\n")


class _Teller:
    """Says how many units were done since it last spoke, seldom, since the listener needs a core as well."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._done = self._told = 0
        self._label = ""
        self._last = time.monotonic()

    def __call__(self, done: int, total: int, label: str) -> None:
        self._done, self._label = done, label
        if time.monotonic() - self._last > _TELL_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Say what was not said yet."""
        if self._done > self._told:
            self.say(f"{self._done - self._told} {self._label}")
        self._told, self._last = self._done, time.monotonic()

    def say(self, line: str) -> None:
        """Say a line, if anybody listens still."""
        with suppress(BrokenPipeError):
            os.write(self._pipe, f"{line}\n".encode("utf-8", "backslashreplace"))


class _OrphanStop(StopRequest):
    """Also a process whose parent is gone stops: another may want to go on with the run."""

    def __init__(self, parent: int) -> None:
        super().__init__()
        self._parent = parent

    @property
    def requested(self) -> bool:
        return super().requested or os.getppid() != self._parent


def main(directory: str, session: str, parent: str) -> None:
    """Take what is missing of a session."""
    teller = _Teller(os.dup(1))
    os.dup2(2, 1)  # what a library prints is for people
    try:
        _measure(Path(directory), int(session), int(parent), teller)
    except (DraftwiseError, OSError) as error:
        teller.say(f"{_ERROR} {' '.join(str(error).splitlines())}")
        sys.exit(1)
    teller.flush()


def _check_same(began: Mapping[str, Any], facts: Mapping[str, Any], directory: Path) -> None:
    """Hold the models that were loaded against those that the run began with.

    Raises:
        DraftwiseError: they are other ones; a file or a branch on the Hub was changed meanwhile.
    """
    from draftwise.bench.sameness import fact_differences

    found = [line for lines in fact_differences(began, facts).values() for line in lines]
    if found:
        raise DraftwiseError(
            f"the models of {directory} have changed since it began: {'; '.join(found)}; bring them back"
        )


def _measure(directory: Path, session: int, parent: int, teller: _Teller) -> None:
    from draftwise.bench.measure import Bench
    from draftwise.bench.models import find_models
    from draftwise.bench.settings import BenchSettings
    from draftwise.bench.store import RunStore
    from draftwise.bench.threads import compute_threads

    with _OrphanStop(parent) as stop:
        store = RunStore.open(directory)
        settings = BenchSettings.from_record(store.header["settings"])
        with compute_threads(settings):
            models = find_models(settings, store.prompts).load()
            _check_same(store.header["environment"], models.facts, directory)
            Bench(models, settings, store, stop, Ticker(teller)).time(session)


if __name__ == "__main__":
    main(*sys.argv[1:])
