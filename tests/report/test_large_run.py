"""A report must not need more time or memory than a person has, however many samples there are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_million_samples_are_read_and_reported_within_a_minute_and_two_gigabytes(tmp_path: Path) -> None:
    script, directory = Path(__file__).with_name("large_run.py"), tmp_path / "run"
    done = subprocess.run([sys.executable, str(script), str(directory)], capture_output=True, text=True, check=False)
    shutil.rmtree(directory, ignore_errors=True)  # nearly a gigabyte
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["samples"] == 1_000_008
    assert told["seconds"] < 60
    assert told["peak_bytes"] < 2e9
    assert told["page_bytes"] < 2e6
    assert told["speedup"] == pytest.approx(1.5, rel=0.01)
