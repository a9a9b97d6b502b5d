"""The seed's experiment as anybody would run it, by ``draftwise bench``, and its speed-ups against their ideal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.gpu.budget import Budget
from benchmarks.gpu.processes import run_within
from benchmarks.gpu.scale import Scale

METHODS = ("as", "as*", "sps", "bild")
FOLDER, LOG = "run", "bench.txt"
GRACE_SECONDS = 25.0
"""For a run that was asked to stop: the sample that it is in, its intervals and its page."""


def bench_command(scale: Scale, output: Path) -> list[str]:
    """The command of the experiment."""
    options = {
        "target": scale.target,
        "draft": scale.draft,
        "device": scale.device,
        "dtype": scale.dtype,
        "backend": scale.backend,
        "methods": ",".join(METHODS),
        "limit": scale.bench_prompts,
        "repeats": scale.bench_repeats,
        **scale.decoding,
        "output": output,
    }
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", "draftwise.cli.main", "bench", *words]


def run_experiment(scale: Scale, output: Path, budget: Budget) -> dict[str, Any]:
    """Run it; where the time is over it is asked to stop, which leaves a valid, shorter run.

    Returns:
        ``command``; ``samples`` taken of ``planned_samples``; ``methods``, each with its measured ``speedup``, the
        ``expected_speedup`` of the cost model and the ``share`` of it that was reached; ``overall``, ``subtasks`` and
        ``costs`` of the run's summary; ``cut`` where it was stopped.

    Raises:
        RuntimeError: it failed or was stopped before its first sample, with the last line that it wrote.
    """
    command, log = bench_command(scale, output / FOLDER), output / LOG
    try:
        code = run_within(command, budget.left - GRACE_SECONDS, log, stop=signal.SIGINT, grace=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"draftwise bench didn't stop when it was asked to; it wrote {_last_line(log)!r}") from None
    path = output / FOLDER / "summary.json"
    if not path.exists():
        raise RuntimeError(f"draftwise bench left no summary (exit code {code}); it wrote {_last_line(log)!r}")
    summary = json.loads(path.read_text("utf-8"))
    return {
        "command": command[1:],
        "samples": summary["samples"],
        "planned_samples": summary["planned_samples"],
        "methods": {label: _against_ideal(figures) for label, figures in summary["overall"].items()},
        **{name: summary[name] for name in ("overall", "subtasks", "costs", "warnings")},
        **({} if summary["complete"] else {"cut": f"stopped after {summary['samples']} samples"}),
    }


def _against_ideal(figures: dict[str, Any]) -> dict[str, Any]:
    measured, cost = figures.get("speedup"), figures.get("cost") or {}
    ideal = cost.get("expected_speedup")
    return {
        "tokens_per_second": figures.get("tokens_per_second"),
        "acceptance_length": figures.get("acceptance_length"),
        "agreement": figures.get("agreement"),
        "speedup": measured,
        "expected_speedup": ideal,
        "share": measured / ideal if measured and ideal else None,
    }


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"
