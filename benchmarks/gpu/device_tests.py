"""The tests that need a GPU, marked ``gpu``, run by pytest in a process of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.gpu.budget import Budget
from benchmarks.gpu.processes import ROOT, run_within

LOG, RECORD = "tests.txt", "tests.xml"
COUNTS = ("tests", "failures", "errors", "skipped")
GRACE_SECONDS = 10.0
"""For pytest to write down how far it came."""


def run_device_tests(device: str, output: Path, budget: Budget) -> dict[str, Any]:
    """Run them; only files that have such tests are looked at, since other files need packages that no GPU test does.

    Warnings are no errors here, for another version of a package has others.

    Returns:
        ``tests``, and of those ``failures``, ``errors`` and ``skipped``; ``cut`` where time was lacking for all.

    Raises:
        RuntimeError: a test failed, or none ran where there is a GPU.
    """
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text("utf-8")]
    record = output / RECORD
    options = ["-m", "gpu", "-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default", f"--junitxml={record}"]
    command = [sys.executable, "-m", "pytest", *options, *map(str, files)]
    try:
        code = run_within(command, budget.left - GRACE_SECONDS, output / LOG, stop=signal.SIGINT, grace=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"pytest had to be killed; see {LOG}") from None
    if not record.exists():
        raise RuntimeError(f"pytest ended with code {code} and left no record; see {LOG}")
    suite = next(ElementTree.parse(record).getroot().iter("testsuite"))
    record.unlink()
    counts = {name: int(suite.get(name, 0)) for name in COUNTS}
    if counts["failures"] or counts["errors"]:
        raise RuntimeError(
            f"{counts['failures']} of {counts['tests']} tests failed, {counts['errors']} broke; see {LOG}"
        )
    if device != "cpu" and counts["tests"] == counts["skipped"]:
        raise RuntimeError(f"all {counts['tests']} tests were skipped although there is a GPU; see {LOG}")
    return {
        **counts,
        **({"cut": f"stopped after {counts['tests']} tests"} if code == pytest.ExitCode.INTERRUPTED else {}),
    }
