from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from draftwise.bench import pinning
from draftwise.bench.pinning import free_cores, pinned_threads, spread

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads are pinned on Linux only")


def test_one_hardware_thread_of_each_physical_core_comes_first() -> None:
    assert spread([(0, "0-1"), (1, "0-1"), (2, "2-3"), (3, "2-3")]) == [0, 2, 1, 3]
    assert spread([(0, "0,4"), (1, "1,5"), (4, "0,4"), (5, "1,5")]) == [0, 1, 4, 5]
    assert spread([(3, "3"), (1, "1")]) == [1, 3]


@linux
def test_the_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {2, 3, 6})
    monkeypatch.setattr(pinning, "CPUS", Path("nowhere"))
    assert free_cores(2) == [2, 3]
    assert free_cores(3) == [2, 3, 6]
    assert free_cores(4) is None


@linux
def test_physical_cores_are_told_by_what_linux_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for core in range(4):
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{core // 2 * 2}-{core // 2 * 2 + 1}\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {0, 1, 2, 3})
    monkeypatch.setattr(pinning, "CPUS", tmp_path)
    assert free_cores(3) == [0, 2, 1]


@linux
def test_the_calling_thread_has_one_core_within_and_all_of_them_after() -> None:
    before = os.sched_getaffinity(0)
    with pinned_threads(1) as cores:
        assert cores is not None
        assert os.sched_getaffinity(0) == set(cores)
        assert len(cores) == 1
    assert os.sched_getaffinity(0) == before


@linux
def test_an_error_within_leaves_no_thread_pinned() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(ValueError, match="within"), pinned_threads(1):
        raise ValueError("within")
    assert os.sched_getaffinity(0) == before


def test_other_systems_pin_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pinned_threads(1) as cores:
        assert cores is None


POOL = """
import os, threading, torch
from draftwise.bench.pinning import pinned_threads
torch.set_num_threads(2)
idle = threading.Event()
other = threading.Thread(target=idle.wait, daemon=True)  # a thread that doesn't compute stays free
other.start()
def masks():
    return {int(task): os.sched_getaffinity(int(task)) for task in os.listdir("/proc/self/task")}
before = os.sched_getaffinity(0)
with pinned_threads(2) as cores:
    within = masks()
    placed = [thread for thread, allowed in within.items() if len(allowed) == 1]
    assert len(cores) == len(set(cores)) == len(placed) == 2, (cores, within)
    assert {core for thread in placed for core in within[thread]} == set(cores)
    assert within[threading.get_native_id()] == {cores[0]}
    assert within[other.native_id] == before
assert set(map(frozenset, masks().values())) == {frozenset(before)}
idle.set()
"""


@linux
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="takes two cores")
def test_each_thread_of_torchs_pool_has_a_core_of_its_own_and_no_other_thread_does() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "MKL", "GOMP"))}
    done = subprocess.run([sys.executable, "-c", POOL], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
