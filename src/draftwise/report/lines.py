"""The result lines in the form of the experiment that this project starts from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from draftwise.analysis.names import BASELINE, FLOOR, title
from draftwise.report.plain import printable

EXPLANATION = (
    "Below, X is the plain ratio of a line's two rates; the speed-up in the tables is paired, prompt by prompt."
)


def result_lines(summary: dict[str, Any]) -> list[str]:
    """A line for each cell but plain decoding and the noise floor, overall and then for each subtask.

    Without plain decoding, or with it alone, a line holds the rate that there is; a cell without one has no line.
    """
    lines = overall_lines(summary)
    for subtask, cells in summary["subtasks"].items():
        lines += _lines(summary, printable(f"Subtask: {subtask},"), cells)
    return lines


def overall_lines(summary: dict[str, Any]) -> list[str]:
    """The lines over all subtasks alone."""
    return list(_lines(summary, "Overall Result:", summary["overall"]))


def _lines(summary: dict[str, Any], start: str, cells: dict[str, dict[str, Any]]) -> Iterator[str]:
    rates = {name: figures["tokens_per_second"] for name, figures in cells.items()}
    known = {name: round(value, 2) for name, value in rates.items() if value is not None}
    if len(known) > 1:
        known.pop(FLOOR, None)
    base = known.get(BASELINE)
    for name, value in known.items():
        own = printable(f"{title(summary, name)}: {value:.2f} tokens/sec")
        if not base:
            yield f"{start} {own}"
        elif name != BASELINE:
            yield f"{start} AS: {base:.2f} tokens/sec, {own} -> {value / base:.2f} X Speedup"
        elif len(known) == 1:
            yield f"{start} {own}"
