"""The last table of an experiment of several runs: the overall figures of each, under the run's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from draftwise.report.lines import overall_lines
from draftwise.report.table import cells_table


def report_experiment(runs: Sequence[tuple[str, dict[str, Any]]], console: Console) -> None:
    """Print the overall table and result lines of every run, by its label; each has a baseline of its own."""
    console.print()
    console.rule(f"all {len(runs)} runs, overall", characters="─", align="left", style="dim")
    for place, (label, summary) in enumerate(runs):
        console.print()
        console.print(cells_table(summary, label, summary["overall"], console.width, header=place == 0))
    console.print()
    for label, summary in runs:
        for line in overall_lines(summary):
            console.print(Text(f"{label}: {line}"), soft_wrap=True)
