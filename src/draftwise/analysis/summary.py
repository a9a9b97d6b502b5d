"""A run's figures: overall and for each subtask, for each cell, as the JSON values of ``summary.json``.

decode tokens/s is the sum of new tokens by the sum of decode time, end-to-end tokens/s the same by total time. The
speed-up is paired: for each prompt the mean log ratio of plain decoding's time per token and the method's, over its
turns and repeats; the mean of that over prompts, exponentiated. ``speedup_total`` is the plain ratio of the tokens/s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from draftwise.analysis.best import best_cells
from draftwise.analysis.figures import Figures, method_figures
from draftwise.analysis.names import BASELINE
from draftwise.analysis.notes import make_notes
from draftwise.analysis.samples import Samples, by_method
from draftwise.bench.cells import make_cells
from draftwise.bench.records import (
    ESCAPE,
    PROMPTS,
    SCHEMA,
    SUMMARY,
    Record,
    read_end,
    read_prompts,
    read_records,
    read_run,
    to_json,
)
from draftwise.bench.settings import BenchSettings
from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt, score_answer, subtasks_of, suite_sha256


def summarize(
    records: Sequence[Record], prompts: Sequence[Prompt], settings: BenchSettings, environment: dict[str, Any]
) -> dict[str, Any]:
    """All figures of a run.

    Raises:
        DraftwiseError: a rate is above what memory allows, so none is reported.
    """
    present = subtasks_of(prompts)
    labels = [cell.label for cell in make_cells(settings)]
    planned = sum(len(prompt.turns) for prompt in prompts) * len(labels) * settings.repeats
    limit = settings.decoding.max_new_tokens
    everything = by_method(records, labels, limit)
    subtasks = {
        name: by_method([record for record in records if record.subtask == name], labels, limit) for name in present
    }
    scores = _scores(records, prompts)
    summary: dict[str, Any] = {
        "schema": SCHEMA,
        "complete": len(records) == planned,
        "samples": len(records),
        "planned_samples": planned,
        "settings": settings.to_record(),
        "environment": environment,
        "overall": _table(everything, settings, environment, scores),
        "subtasks": {name: _table(part, settings, environment, scores) for name, part in subtasks.items()},
        "invalid": [
            {"prompt_id": record.prompt_id, "turn": record.turn, "method": name, "repeat": record.repeat, "reason": why}
            for name, samples in everything.items()
            for record, why in samples.faults
        ],
    }
    best = best_cells(summary) if len(labels) > len(settings.methods) else {}
    return summary | {"best": best, "warnings": make_notes(summary, everything)}


def summarize_run(directory: str | Path) -> dict[str, Any]:
    """The summary of a run that lies in a directory, finished or not.

    Raises:
        DraftwiseError: the run can't be read, or its prompts aren't those that were measured.
    """
    path = Path(directory)
    header = read_run(path)
    settings = BenchSettings.from_record(header["settings"])
    prompts, environment = read_prompts(path), header["environment"]
    if environment["prompts_sha256"] != suite_sha256(prompts):
        raise DraftwiseError(f"{path / PROMPTS} was changed: its prompts are not those that were measured")
    environment["after"] = read_end(path).get("environment")
    return summarize(read_records(path), prompts, settings, environment)


def write_summary(directory: str | Path, summary: dict[str, Any]) -> Path:
    """Write ``summary.json`` into a run's directory."""
    path = Path(directory) / SUMMARY
    try:
        path.write_text(to_json(summary), encoding="utf-8", errors=ESCAPE)
    except OSError as error:
        raise DraftwiseError(f"{path} cannot be written: {error.strerror}") from None
    return path


def _scores(records: Iterable[Record], prompts: Iterable[Prompt]) -> dict[int, float]:
    """The score of each sample that has a reference, by its order."""
    known = {prompt.id: prompt for prompt in prompts}
    scores: dict[int, float] = {}
    for record in records:
        found = score_answer(known[record.prompt_id], record.turn, record.text.strip())
        if found is not None:
            scores[record.order] = found
    return scores


def _table(
    methods: dict[str, Samples], settings: BenchSettings, environment: dict[str, Any], scores: dict[int, float]
) -> dict[str, Figures]:
    baseline = methods.get(BASELINE)
    return {name: method_figures(own, baseline, settings, environment, scores) for name, own in methods.items()}
