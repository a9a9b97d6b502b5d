"""Each thread that computes on a core of its own, so that none moves between cores and no two share one.

Linux only: elsewhere, and where the process has fewer cores than threads, nothing is pinned and the record says so.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter_ns

TASKS = Path("/proc/self/task")
CPUS = Path("/sys/devices/system/cpu")
BUSY_SECONDS = 0.05
"""How long the threads work to be found: some of the scheduler's ticks."""


@contextmanager
def pinned_threads(count: int) -> Iterator[list[int] | None]:
    """Keep the calling thread and the workers of torch's pool on one core each, until the exit.

    A thread that is born within, as when torch's number of threads is changed, shares the caller's core: make every
    pool before.

    Args:
        count: of threads that compute, the caller one of them; torch's number of threads is set to it already.

    Yields:
        The cores, the caller's first; None where nothing is pinned.
    """
    cores = free_cores(count)
    if cores is None:
        yield None
        return
    threads = [threading.get_native_id(), *_workers(count - 1)]
    before = {thread: os.sched_getaffinity(thread) for thread in threads}
    placed = dict(zip(threads, cores, strict=False))
    try:
        _place({thread: {core} for thread, core in placed.items()})
        yield list(placed.values())
    finally:
        _place(before)


def free_cores(count: int) -> list[int] | None:
    """A core for each of ``count`` threads, of different physical cores first; None where there aren't so many."""
    if sys.platform != "linux":
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return spread([(core, _siblings(core)) for core in allowed])[:count] if len(allowed) >= count else None


def spread(cores: Sequence[tuple[int, str]]) -> list[int]:
    """Cores in an order in which one of each physical core comes before the second of any.

    Args:
        cores: each with a name that the hardware threads of one physical core share.
    """
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int]] = []
    for core, physical in cores:
        seen[physical] = seen.get(physical, -1) + 1
        ranked.append((seen[physical], core))
    return [core for _, core in sorted(ranked)]


def _siblings(core: int) -> str:
    """The hardware threads of a core's physical core as Linux lists them, the core alone where that can't be read."""
    try:
        return (CPUS / f"cpu{core}" / "topology" / "thread_siblings_list").read_text("ascii").strip()
    except OSError:
        return str(core)


def _workers(count: int) -> list[int]:
    """The threads that a parallel operation of torch keeps busiest, at most ``count`` and not the calling one."""
    if count < 1:
        return []
    import torch

    values = torch.ones(1 << 22)
    values.sum()  # makes the pool
    before = _busy_ns()
    end = perf_counter_ns() + int(BUSY_SECONDS * 1e9)
    while perf_counter_ns() < end:
        values.sum()
    worked = {thread: spent - before.get(thread, 0) for thread, spent in _busy_ns().items()}
    del worked[threading.get_native_id()]
    busiest = sorted(worked, key=lambda thread: worked[thread], reverse=True)
    return [thread for thread in busiest[:count] if worked[thread] > 0]


def _busy_ns() -> dict[int, int]:
    """The time that each of the process's threads has run, in nanoseconds."""
    spent: dict[int, int] = {}
    for task in TASKS.iterdir():
        with suppress(OSError):  # a thread may end while it is looked at
            spent[int(task.name)] = int((task / "schedstat").read_text("ascii").split()[0])
    return spent


def _place(cores: Mapping[int, set[int]]) -> None:
    for thread, allowed in cores.items():
        with suppress(ProcessLookupError):  # it has ended since
            os.sched_setaffinity(thread, allowed)
