"""Run all of it: `benchmarks/gpu/run.sh`, or `python -m benchmarks.gpu` where draftwise is installed.

Exits with 0 where every part ran, with 1 where one failed or ids differ that are to be equal, with 2 for what is of no
use. A part that time was lacking for is cut and said to be; that is no failure.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from benchmarks.gpu.scale import DRY, FULL
from draftwise.errors import DraftwiseError


@click.command("gpu")
@click.option("--dry-run", is_flag=True, help="The same way through tiny shapes, on a CPU and with the plain backend.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/gpu"),
    show_default=True,
    help="Where gpu.json, gpu.txt and the bench run go; an earlier run in it must be removed first.",
)
@click.option("--seconds", type=click.FloatRange(10), help="For all of it; parts are cut so that it ends on time.")
@click.option("--target", help="Another target; any name that draftwise bench takes and transformers' OPT can be.")
@click.option("--draft", help="Another draft, likewise.")
@click.option("--device", help="cuda or cuda:N, or cpu.")
@click.option("--dtype", help="Of both models.")
@click.option("--backend", help="What runs the passes.")
def command(dry_run: bool, output: Path, **given: Any) -> None:
    """Measure everything that is to be known of a GPU, in one call and on time."""
    scale = replace(DRY if dry_run else FULL, **{name: value for name, value in given.items() if value is not None})
    if (output / "run").exists():
        raise DraftwiseError(f"{str(output / 'run')!r} holds an earlier run; remove it, or give another --output")
    from draftwise.models.loading import present_device

    present_device(scale.device)
    output.mkdir(parents=True, exist_ok=True)
    sys.exit(0 if _run(scale, output.absolute()) else 1)


def _run(scale: Any, output: Path) -> bool:
    from benchmarks.gpu.budget import Budget, LastResort
    from benchmarks.gpu.parts import Run, run_parts
    from benchmarks.gpu.processes import kill_all
    from benchmarks.gpu.report import TABLE, Report

    report, budget = Report(scale, output), Budget(scale.seconds)

    def begin(name: str) -> None:
        report.begin(name)
        click.echo(f"benchmarks/gpu: {name}, {budget.left:.0f} s left", err=True)

    def last_words() -> None:
        kill_all()
        report.stop(scale.seconds)
        click.echo((output / TABLE).read_text("utf-8"))

    last = LastResort(scale.seconds + 20, last_words)
    for part in run_parts(Run(scale, output), budget, begin):
        report.add(part)
    last.call_off()
    click.echo((output / TABLE).read_text("utf-8"))
    return report.holds


if __name__ == "__main__":
    try:
        command.main(standalone_mode=False)
    except (DraftwiseError, click.ClickException) as error:
        click.echo(f"benchmarks/gpu: {error}", err=True)
        sys.exit(2)
