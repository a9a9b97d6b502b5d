"""Runs in a process of their own that is ended from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from draftwise.bench.records import read_end, read_records, read_run


def end_with(number: signal.Signals, directory: Path) -> int:
    """Start a run, end it after some samples, and give its exit status."""
    child = subprocess.Popen([sys.executable, str(Path(__file__).with_name("child.py")), str(directory)])
    try:
        records = directory / "records.jsonl"
        deadline = time.monotonic() + 30
        while not (records.exists() and records.stat().st_size > 2000):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(number)
        return child.wait(20)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def test_after_sigkill_the_records_load(tmp_path: Path) -> None:
    assert end_with(signal.SIGKILL, tmp_path / "run") == -signal.SIGKILL
    lines = (tmp_path / "run" / "records.jsonl").read_bytes().count(b"\n")
    records = read_records(tmp_path / "run")
    assert len(records) == lines > 3
    assert [record.order for record in records] == list(range(lines))
    assert read_run(tmp_path / "run")["planned"] > lines and read_end(tmp_path / "run") == {}


def test_after_sigterm_the_run_is_whole_but_shorter(tmp_path: Path) -> None:
    assert end_with(signal.SIGTERM, tmp_path / "run") == 0
    end = read_end(tmp_path / "run")
    assert (end["complete"], end["stopped_by"]) == (False, "SIGTERM")
    assert len(read_records(tmp_path / "run")) == end["samples"] < end["planned"]
