"""Sessions in fresh processes: what a process was dealt when it began (memory, cores, neighbours) stays with it.

``python -m draftwise.bench.sessions DIRECTORY SESSION`` takes what is missing of one session of a run that is there; it
says on stdout how far it is. The caller must not hold the models in memory meanwhile.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

from draftwise.bench.interrupt import StopRequest
from draftwise.bench.ticker import Ticker
from draftwise.errors import DraftwiseError

_TELL_SECONDS = 2.0


def take_session(directory: Path, session: int, stop: StopRequest, ticker: Ticker) -> None:
    """Measure a session in a process of its own and wait for its end.

    A stop that is requested here is passed on.

    Raises:
        DraftwiseError: the process failed; the samples that it took stand.
    """
    command = [sys.executable, "-m", "draftwise.bench.sessions", str(directory), str(session)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        told = False
        with selectors.DefaultSelector() as ready:
            ready.register(child.stdout, selectors.EVENT_READ)
            while True:
                if ready.select(timeout=0.5):
                    line = child.stdout.readline()
                    if not line:
                        break
                    units, _, label = line.decode().rstrip("\n").partition(" ")
                    ticker(label, int(units))
                if stop.requested and not told:
                    told = True
                    child.send_signal(signal.SIGTERM)
    if child.returncode:
        raise DraftwiseError(
            f"session {session + 1} ended with code {child.returncode}; what it measured is kept in {directory}; "
            "run the same command again to go on"
        )


class _Teller:
    """Says on stdout how many units were done since it last spoke, seldom, since the listener needs a core as well."""

    def __init__(self) -> None:
        self._units, self._last = 0, time.monotonic()

    def __call__(self, done: int, total: int, label: str) -> None:
        self._units += 1
        if time.monotonic() - self._last > _TELL_SECONDS:
            self._last = time.monotonic()
            self.flush(label)

    def flush(self, label: str) -> None:
        """Say what was not said yet."""
        print(self._units, label, flush=True)
        self._units = 0


class _OrphanStop(StopRequest):
    """Also a process whose parent is gone stops: another may want to go on with the run."""

    def __init__(self) -> None:
        super().__init__()
        self._parent = os.getppid()

    @property
    def requested(self) -> bool:
        return super().requested or os.getppid() != self._parent


def main(directory: str, session: str) -> None:
    """Take what is missing of a session."""
    from draftwise.bench.measure import Bench
    from draftwise.bench.models import find_models
    from draftwise.bench.settings import BenchSettings
    from draftwise.bench.store import RunStore
    from draftwise.bench.threads import compute_threads

    store = RunStore.open(Path(directory))
    settings = BenchSettings.from_record(store.header["settings"])
    with _OrphanStop() as stop, compute_threads(settings):
        models = find_models(settings, store.prompts).load()
        Bench(models, settings, store, stop, Ticker(_Teller())).time(int(session))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except DraftwiseError as error:
        sys.exit(f"draftwise: error: {error}")
