"""What a forked process does: the command line, with a fake engine or the real one, and with misfortunes planted."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakes
from fakes import COSTS, FakeEngine, add_suite, models

from draftwise.bench import environment, files, fingerprint, measure, sessions, ticker
from draftwise.bench import models as bench_models
from draftwise.engine import Engine

REAL_WRITE, REAL_FSYNC = os.write, os.fsync


def live(job: dict[str, Any]) -> None:
    """Run ``draftwise`` with the arguments of a job; ends the process."""
    files.LOCK_SECONDS = job.get("lock_seconds", files.LOCK_SECONDS)
    sessions._TELL_SECONDS = 0.05
    sessions.subprocess = SimpleNamespace(Popen=lambda *a, **o: Fork(*a, job=job, **o), PIPE=-1, DEVNULL=-3)
    if job.get("fake"):
        plant_fakes(job.get("nap", 0.0))
    else:
        plant_haste()
    if job.get("progress"):
        plant_progress()
    if job.get("silent"):
        plant_silence()
    if job.get("size"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["size"], job["size"]))
    if job.get("full"):
        plant_full_disk(**job["full"])
    if job.get("die"):
        plant_death(*job["die"])
    from draftwise.cli.main import main

    sys.argv = ["draftwise", *job["args"]]
    main(job["args"])


def plant_fakes(nap: float) -> None:
    """A suite and models that say to have taken no time, which the real clock doesn't gainsay."""
    add_suite()
    fakes.MS, fakes.PASS = 1, {name: cost // fakes.MS for name, cost in fakes.PASS.items()}
    measure.measure_costs = lambda *_: COSTS
    fingerprint.code_revision = lambda root: None

    def find(settings: Any, prompts: Any) -> Any:
        engine = FakeEngine(nap=nap)
        return SimpleNamespace(settings=settings, drafts=("builtin",), memory="", load=lambda: models(engine))

    bench_models.find_models = find


def plant_progress() -> None:
    """Say every step of the progress on stderr."""

    def told(self: ticker.Ticker, label: str, units: int = 1) -> None:
        tick(self, label, units)
        if os.getpid() == parent:
            REAL_WRITE(2, f"progress {self.done} {self.total} {label}\n".encode())

    parent, tick = os.getpid(), ticker.Ticker.__call__
    ticker.Ticker.__call__ = told


def plant_silence() -> None:
    """Leave the report out."""
    from draftwise.cli import bench

    bench._report = lambda *_: {}


def plant_haste() -> None:
    """Spend no seconds on the speed of memory and of passes."""
    environment.read_bandwidth = lambda size, device: None
    measure.measure_costs = partial(measure.measure_costs, seconds=0.0)


def plant_death(moment: int, half: bool) -> None:
    """Be killed in the midst of the n-th thing that is worth it: an answer, or something that is done to the disk."""
    state = {"events": 0, "label": "preparing"}

    def doomed(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            state["events"] += 1
            if state["events"] != moment:
                return real(*args, **options)
            if half:  # a write is torn, anything else is done but its caller never hears of it
                real(args[0], args[1][: len(args[1]) // 2]) if name == "write" else real(*args, **options)
            REAL_WRITE(2, f"died: {name}, {state['label']}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

        return call

    def ticked(self: ticker.Ticker, label: str, units: int = 1) -> None:
        state["label"] = label
        tick(self, label, units)

    tick, ticker.Ticker.__call__ = ticker.Ticker.__call__, ticked
    for name in ("write", "fsync", "replace"):
        setattr(os, name, doomed(name, getattr(os, name)))
    for owner, name in ((FakeEngine, "_answer"), (Engine, "_collect")):
        setattr(owner, name, doomed("answer", getattr(owner, name)))


def plant_full_disk(name: str, good: int = 0) -> None:
    """The disk takes ``good`` more writes to a file, and a part of the next."""
    state = {"writes": 0}

    def full(file: int) -> bool:
        if name not in Path(os.readlink(f"/proc/self/fd/{file}")).name:
            return False
        state["writes"] += 1
        return state["writes"] > good

    def write(file: int, data: Any) -> int:
        if not full(file):
            return REAL_WRITE(file, data)
        if state["writes"] == good + 1 and len(data) > 1:
            return REAL_WRITE(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fsync(file: int) -> None:
        if ".part-" in os.readlink(f"/proc/self/fd/{file}") and full(file):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        REAL_FSYNC(file)

    os.write, os.fsync = write, fsync


class Fork:
    """Stands for ``subprocess.Popen`` where a session begins: a process as fresh, but for the seconds of imports."""

    def __init__(self, command: list[str], *, stdout: int, stdin: int, start_new_session: bool, job: Any) -> None:
        reading, writing = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            self._live(command[-3:], writing, job)
        os.close(writing)
        self.stdout = os.fdopen(reading, "rb")

    def _live(self, arguments: list[str], writing: int, job: dict[str, Any]) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        os.dup2(writing, 1)
        os.closerange(3, 256)
        if job.get("die_in_session"):
            plant_death(*job["die_in_session"])
        end_with(lambda: sessions.main(*arguments))

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def __enter__(self) -> Fork:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def end_with(call: Callable[[], None]) -> None:
    """Call, and end the process as Python would."""
    code: Any = 1
    try:
        call()
        code = 0
    except SystemExit as ended:
        code = ended.code
        if isinstance(code, str):
            REAL_WRITE(2, code.encode() + b"\n")
            code = 1
    except BaseException:
        import traceback

        REAL_WRITE(2, traceback.format_exc().encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)
