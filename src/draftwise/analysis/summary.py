"""A run's figures: overall and for each subtask, for each cell, as the JSON values of ``summary.json``.

What is fast comes from the timed passes (``speeds``), everything else from the check pass: acceptance, quality, where
the time went, and what the acceptance is worth at the price of a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from draftwise.analysis.acceptance import acceptance_figures
from draftwise.analysis.best import best_cells
from draftwise.analysis.breakdown import time_figures
from draftwise.analysis.costs import cost_figures
from draftwise.analysis.explain import explain, speed_gap
from draftwise.analysis.names import BASELINE, FLOOR, title
from draftwise.analysis.notes import make_notes
from draftwise.analysis.outliers import outlier_levels
from draftwise.analysis.quality import quality_figures
from draftwise.analysis.run import RunData
from draftwise.analysis.speeds import Figures, speed_figures
from draftwise.bench.files import to_json, write_whole
from draftwise.bench.records import SCHEMA
from draftwise.bench.store import SUMMARY
from draftwise.tasks import subtasks_of

OVERALL = "overall"
MOST_INVALID = 100
"""So many invalid samples are listed; all are counted."""


def summarize(run: RunData) -> dict[str, Any]:
    """All figures of a run.

    Raises:
        DraftwiseError: a rate is above what memory allows, so none is reported.
    """
    taken = len(run.frame.prompt)
    levels = outlier_levels(run.frame)
    parts = {name: _part(run, name, levels) for name in (None, *subtasks_of(run.prompts))}
    summary: dict[str, Any] = {
        "schema": SCHEMA,
        "complete": taken == run.planned,
        "stopped_by": run.stopped_by,
        "samples": taken,
        "planned_samples": run.planned,
        "settings": run.settings.to_record(),
        "environment": run.environment,
        "overall": parts.pop(None),
        "subtasks": parts,
        "invalid": _invalid(run),
        "invalid_count": int((~run.frame.valid).sum()),
        "costs": run.costs,
    }
    several = len(run.labels) > len(run.settings.methods)
    summary["best"] = best_cells(summary) if several else {}
    summary["explanations"] = {OVERALL: _sentences(summary, summary["overall"])} | {
        name: _sentences(summary, cells) for name, cells in summary["subtasks"].items() if name != OVERALL
    }
    return summary | {"warnings": make_notes(summary, run)}


def _part(run: RunData, part: str | None, levels: Any) -> dict[str, Figures]:
    """The figures of every cell in a subtask, or in the whole run."""
    frame, table = run.frame, run.checks
    speeds = speed_figures(
        frame, frame.rows(part), run.settings, run.environment, table.draft_passes(part), levels=levels
    )
    quality = quality_figures(table, part)
    found: dict[str, Figures] = {}
    for label in run.labels:
        figures = speeds[label] | quality[label] | acceptance_figures(table, part, label)
        figures |= time_figures(table, part, label) | cost_figures(table, part, label, run.costs)
        if figures["cost"]:
            figures["cost"]["gap"] = speed_gap(figures)
        found[label] = figures
    return found


def _sentences(summary: Mapping[str, Any], cells: Mapping[str, Figures]) -> dict[str, str]:
    said = {label: explain(title(summary, label), cells[label]) for label in cells if label not in (BASELINE, FLOOR)}
    return {label: sentence for label, sentence in said.items() if sentence is not None}


def _invalid(run: RunData) -> list[dict[str, Any]]:
    frame = run.frame
    return [
        {
            "prompt_id": frame.prompts[frame.prompt[row]],
            "turn": int(frame.turn[row]),
            "method": frame.labels[frame.label[row]],
            "session": int(frame.session[row]),
            "repeat": int(frame.repeat[row]),
            "reason": frame.faults[frame.fault[row]],
        }
        for row in np.flatnonzero(~frame.valid)[:MOST_INVALID]
    ]


def write_summary(directory: str | Path, summary: Mapping[str, Any]) -> Path:
    """Write ``summary.json`` into a run's directory.

    Raises:
        DraftwiseError: it can't be written.
    """
    path = Path(directory) / SUMMARY
    write_whole(path, to_json(summary))
    return path
