"""The GPU benchmark goes all its way on a CPU, in tiny shapes; a part that breaks or lacks time leaves the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from benchmarks.gpu import parts
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.goals import goals
from benchmarks.gpu.parts import PARTS, Done, Part, Run, run_parts
from benchmarks.gpu.processes import run_within
from benchmarks.gpu.report import Report
from benchmarks.gpu.same_ids import wanted_ways
from benchmarks.gpu.scale import DRY, FULL

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu" / "run.sh"


def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONWARNINGS": "ignore", **variables}
    return subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def dry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], str]]:
    output = tmp_path_factory.mktemp("gpu")
    done = run("--dry-run", "--output", output)
    assert done.returncode == 0, done.stderr + done.stdout
    yield json.loads((output / "gpu.json").read_text("utf-8")), done.stdout


def test_every_part_runs_and_gives_its_figures(dry: tuple[dict[str, Any], str]) -> None:
    record, table = dry
    assert {name: part["outcome"] for name, part in record["parts"].items()} == dict.fromkeys(PARTS, "done"), table
    found = {name: part["found"] for name, part in record["parts"].items()}
    assert found["tests"]["tests"] > 0 and found["tests"]["skipped"] == found["tests"]["tests"]
    assert found["models"]["models"]["target"]["backend"]["name"] == "plain"
    assert found["ids"]["equal"] == found["ids"]["answers"] == 8 * len(wanted_ways(DRY))
    assert found["experiment"]["samples"] == found["experiment"]["planned_samples"] > 0
    assert len(found["experiment"]["subtasks"]) == 8
    assert all(found["experiment"]["methods"][label]["share"] > 0 for label in ("sps", "bild"))
    assert found["memory"]["share"] > 0 and found["memory"]["answers"] > 0
    assert len(record["goals"]) == 10 and "Not a GPU" in table


def test_transformers_writes_the_same_ids_from_the_same_tensors(dry: tuple[dict[str, Any], str]) -> None:
    decoders = dry[0]["parts"]["peers"]["found"]["decoders"]
    assert len([name for name in decoders if name.startswith("transformers")]) == 3
    for name, row in decoders.items():
        if name != "draftwise bild":
            assert row["same_ids"] == row["compared"] == 8, name


def test_lacking_packages_are_named_before_anything_runs(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    done = run("--dry-run", PYTHON=str(bare), PYTHONPATH="")
    assert done.returncode == 2 and done.stdout == ""
    assert "lacks " in done.stderr and "torch" in done.stderr and "WHEELS" in done.stderr


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for arguments, words in (
        (("--output", str(tmp_path), "--dry-run"), "earlier run"),
        (("--device", "cuda:99", "--output", str(tmp_path / "new")), "'cuda:99'"),
    ):
        command = [sys.executable, "-m", "benchmarks.gpu", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done


def test_a_part_that_breaks_or_lacks_time_leaves_the_others(
    dry: tuple[dict[str, Any], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(run: Run, budget: Budget) -> dict[str, Any]:
        raise RuntimeError("no room\nfor it")

    found = {name: part["found"] for name, part in dry[0]["parts"].items()}
    found["peers"]["cut"] = "8 of 16 turns were taken"
    found["experiment"]["error"] = "a warning came at its end"
    whole = {name: Part(1, lambda run, budget, name=name: dict(found[name])) for name in PARTS}
    monkeypatch.setattr(parts, "PARTS", {**whole, "ids": Part(1, breaks)})
    report = Report(DRY, tmp_path)
    for done in run_parts(Run(DRY, tmp_path), Budget(60), report.begin):
        report.add(done)
    record = json.loads((tmp_path / "gpu.json").read_text("utf-8"))["parts"]
    outcomes = {"tests": "done", "models": "done", "memory": "done", "ids": "failed", "peers": "cut"}
    assert {name: part["outcome"] for name, part in record.items()} == {**outcomes, "experiment": "failed"}
    assert not report.holds
    assert record["ids"]["error"] == "RuntimeError: no room for it" and "in breaks" in record["ids"]["traceback"]
    table = (tmp_path / "gpu.txt").read_text("utf-8")
    assert all(text in table for text in ("no room for it", "8 of 16 turns", "a warning came", "SPS, speed-up"))


def test_a_run_that_hangs_ends_with_what_it_has() -> None:
    program = (
        "import time\nfrom benchmarks.gpu.budget import LastResort\n"
        "LastResort(60, lambda: print('too late')).call_off()\n"
        "LastResort(0.3, lambda: print('half', flush=True))\ntime.sleep(30)\nprint('whole')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (1, "half\n")


def test_ids_that_differ_where_the_backend_is_exact_fail_the_run(tmp_path: Path) -> None:
    found = {"exact": True, "holds": False, "equal": 159, "answers": 160, "table": []}
    for exact in (True, False):
        report = Report(DRY, tmp_path)
        monkey = {name: Done(name, 1.0, {"cut": "not tried"}) for name in PARTS}
        report._parts = {**monkey, "ids": Done("ids", 1.0, {**found, "exact": exact})}
        assert report.holds is not exact
    (goal,) = goals({"ids": found})
    assert (goal.measured, goal.holds) == ("159 of 160", False)


def test_the_time_that_a_part_leaves_is_the_later_ones() -> None:
    budget = Budget(100)
    assert 24 < budget.share(1, 4).left <= 25
    assert 99 < budget.share(1, 1).left <= 100
    assert Budget(0).share(1, 2).left == 0


def test_a_program_is_asked_to_stop_and_then_killed(tmp_path: Path) -> None:
    def waiting(reaction: str) -> list[str]:
        """A program that says that it is up, and reacts to SIGINT."""
        lines = (
            "import signal, sys, time",
            f"signal.signal(signal.SIGINT, lambda *_: {reaction})",
            "print('up', flush=True)",
            "while True: time.sleep(1)",
        )
        return [sys.executable, "-S", "-c", "\n".join(lines)]

    assert run_within(waiting("sys.exit(7)"), 1, tmp_path / "log", stop=signal.SIGINT) == 7
    assert (tmp_path / "log").read_text() == "up\n"
    began = perf_counter()
    with pytest.raises(subprocess.TimeoutExpired):
        run_within(waiting("None"), 0.5, tmp_path / "log", stop=signal.SIGINT, grace=0.5)
    assert perf_counter() - began < 10


def test_the_real_run_is_the_seeds_experiment_at_its_size() -> None:
    assert (FULL.target, FULL.draft) == ("grown:facebook/opt-6.7b", "grown:facebook/opt-125m")
    assert FULL.decoding == {
        "max_new_tokens": 30, "temperature": 0.0, "gamma": 4, "fallback_threshold": 0.6, "rollback_threshold": 3.0
    }  # fmt: skip
    assert 8 * FULL.exact_prompts == 160 and FULL.seconds < 9 * 60 - 20
    assert {way.gamma for way in wanted_ways(FULL)} == {0, *range(1, 9)}
