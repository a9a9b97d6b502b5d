"""Hold the speeds against the baseline of this machine, or renew it: `python -m benchmarks.speed compare | renew`.

``compare`` exits with 1 where a ratio is worse by more than 10 % twice in a row, and with 2 where there is no baseline.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from benchmarks.speed.baseline import baseline_path, machine_name, merged, read_baseline, write_baseline
from benchmarks.speed.guard import Ratios, compare, finding_lines, holds
from benchmarks.speed.ratios import Ratio
from draftwise.bench.fingerprint import available_cores
from draftwise.errors import DraftwiseError

ROOT = Path(__file__).parents[2]
RUNS = 3
SELECTION = ("-o", "python_files=bench_*.py", "-o", "python_functions=bench_*", "--import-mode=importlib")


def measure(names: Sequence[str], threads: int) -> dict[str, Ratio]:
    """Run benchmarks in a process of their own.

    Args:
        names: of the benchmarks, as pytest's node ids; all of them for none.
        threads: of that process.

    Raises:
        DraftwiseError: one of them failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.json"
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", *SELECTION]
        command += ["--benchmark-only", "--benchmark-disable-gc", "--benchmark-quiet", f"--benchmark-json={record}"]
        done = subprocess.run(
            [*command, *(names or ["benchmarks/speed"])],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DraftwiseError(f"the benchmarks failed:\n{done.stdout}{done.stderr}")
        found = msgspec.json.decode(record.read_bytes())["benchmarks"]
    return {one["fullname"]: msgspec.convert(one["extra_info"]["ratio"], Ratio) for one in found}


class _Group(click.Group):
    """Tells a person what is wrong in one line."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except DraftwiseError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)


@click.group(cls=_Group)
def command() -> None:
    """Guard the speeds, as ratios that hold on one machine."""


@command.command("compare")
@click.option("--machine", default=machine_name, help="Whose baseline to take; this machine's if left out.")
def compare_command(machine: str) -> None:
    """Measure, and flag what is worse than the baseline by more than 10 %, twice."""
    baseline = read_baseline(baseline_path(machine))

    def measured(names: Sequence[str]) -> Ratios:
        if names:
            click.echo(f"{len(names)} looked worse and are measured once more")
        return measure(names, baseline.threads)

    findings = compare(baseline.ratios, measured)
    for line in finding_lines(findings):
        click.echo(line)
    sys.exit(0 if holds(findings) else 1)


@command.command("renew")
@click.option("--machine", default=machine_name, help="What to name the baseline by.")
@click.option("--threads", default=available_cores, type=int, help="Of a measuring process; all cores if left out.")
@click.option("--runs", default=RUNS, show_default=True, help="How many processes measure.")
def renew_command(machine: str, threads: int, runs: int) -> None:
    """Measure a new baseline."""
    path = baseline_path(machine)
    write_baseline(merged([measure((), threads) for _ in range(runs)], threads), path)
    click.echo(f"wrote {path}")


if __name__ == "__main__":
    command()
