"""Runs against a first one, the reference: how many times as fast each cell decodes, prompt by prompt.

For each prompt that two runs share, the mean log time per token is taken over a run's turns, sessions and repeats; the
difference between the runs, its mean over prompts exponentiated, is the ratio: above 1 where the later run is faster.
Two ratios are made that way:

- *speed*: of decode speeds as they are, so it holds whatever the machine did meanwhile;
- *speed-up*: of each run's speed-ups over its own plain decoding, so it is free of the machine's drift between the
  runs, and blind to a change that slows plain decoding as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from draftwise.analysis.names import BASELINE, counted
from draftwise.analysis.pairing import shared_prompts
from draftwise.analysis.ratios import OVERALL, Figures, Pair
from draftwise.analysis.run import RunData
from draftwise.bench.sameness import Where, fact_differences, setting_differences, software_differences
from draftwise.errors import DraftwiseError

SCHEMA = 1
OF = ("speed", "speedup")
"""What a slowdown can be judged by."""


def run_name(place: int) -> str:
    """What a run is called beside others: A, B, C."""
    return chr(ord("A") + place) if place < 26 else f"run {place + 1}"


def differences(first: RunData, other: RunData, name: str) -> dict[str, Any]:
    """What two runs don't have alike: facts by kind, settings and software, each as lines."""
    where = Where(f"in {run_name(0)}", f"in {name}")
    return {
        "facts": fact_differences(first.environment, other.environment, where),
        "settings": setting_differences(first.settings.to_record(), other.settings.to_record(), where),
        "software": software_differences(first.environment, other.environment, where),
    }


def compare_runs(runs: Sequence[RunData]) -> dict[str, Any]:
    """Compare each run with the first of them.

    Returns:
        JSON values: ``runs`` says what each is, and ``comparisons`` holds for each run but the first what differs and
        the figures of each cell that both have, by part ("overall" or a subtask) and label.

    Raises:
        DraftwiseError: two runs have no prompt or no cell in common.
    """
    first, *others = runs
    return {
        "schema": SCHEMA,
        "runs": [_described(run_name(place), run) for place, run in enumerate(runs)],
        "comparisons": [_compare(first, run, run_name(place)) for place, run in enumerate(others, 1)],
    }


class CellRatio(NamedTuple):
    """How a cell of a run does against that of the first run, over all subtasks."""

    run: str
    title: str
    ratio: float
    low: float | None
    high: float | None
    verdict: str


def slow_cells(comparison: Mapping[str, Any], of: str, below: float) -> list[CellRatio]:
    """The cells whose ratio is below a limit and shown to be below 1.

    Args:
        comparison: what ``compare_runs`` returned.
        of: "speed" or "speedup".
        below: the limit.

    Raises:
        DraftwiseError: nothing can be said of a cell.
    """
    return [cell for cell in _cell_ratios(comparison, of) if cell.ratio < below and cell.verdict == "slower"]


def undecided_cells(comparison: Mapping[str, Any], of: str, below: float) -> list[CellRatio]:
    """The cells that aren't slow as far as is shown, but whose interval goes below the limit; as ``slow_cells``."""
    slow = slow_cells(comparison, of, below)
    wide = [cell for cell in _cell_ratios(comparison, of) if cell.low is None or cell.low < below]
    return [cell for cell in wide if cell not in slow]


def _cell_ratios(comparison: Mapping[str, Any], of: str) -> Iterator[CellRatio]:
    for pair in comparison["comparisons"]:
        for label, figures in pair["parts"][OVERALL].items():
            if of == "speedup" and label == BASELINE:
                continue
            value, low, high, verdict = (figures[f"{of}{end}"] for end in ("", "_low", "_high", "_verdict"))
            if value is None:
                raise DraftwiseError(_unknown(pair["name"], pair["titles"][label], of))
            yield CellRatio(pair["name"], pair["titles"][label], value, low, high, verdict)


def _unknown(name: str, title: str, of: str) -> str:
    beside = " beside plain decoding (as)" if of == "speedup" else ""
    return f"nothing can be said of {title} in {name}: no prompt has valid samples of it{beside} in both runs"


def _described(name: str, run: RunData) -> dict[str, Any]:
    taken = len(run.frame.prompt)
    return {
        "name": name,
        "directory": None if run.directory is None else str(run.directory),
        "samples": taken,
        "planned_samples": run.planned,
        "complete": taken >= run.planned,
        "sessions": int(run.frame.session.max(initial=0)) + 1,
        "invalid": int((run.frame.fault >= 0).sum()),
        "time": run.environment.get("time"),
    }


def _compare(first: RunData, other: RunData, name: str) -> dict[str, Any]:
    shared = shared_prompts(first.prompts, other.prompts)
    labels = [label for label in first.frame.labels if label in other.frame.labels]
    for thing, known in (("prompt", shared.ids), ("cell", labels)):
        if not known:
            raise DraftwiseError(f"{run_name(0)} and {name} share no {thing}, so there is nothing to compare")
    pair = Pair(first, other, shared)
    result = {
        "name": name,
        "differences": differences(first, other, name),
        "titles": _titles(other) | _titles(first),
        "prompts": {
            "shared": len(shared.ids),
            "first_only": shared.first_only,
            "second_only": shared.second_only,
            "changed": shared.changed,
            "other_history": pair.other_history(),
        },
        "first_only": [label for label in first.frame.labels if label not in labels],
        "second_only": [label for label in other.frame.labels if label not in labels],
        "parts": pair.parts(labels),
    }
    return result | {"notes": list(_notes(_described(run_name(0), first), _described(name, other), result))}


def _titles(run: RunData) -> dict[str, str]:
    rows = run.environment.get("methods") or {}
    return {label: str((rows.get(label) or {}).get("title", label)) for label in run.frame.labels}


def _notes(first: Figures, other: Figures, result: Figures) -> Iterator[str]:
    """What a reader must know before believing the table, each a sentence."""
    names = first["name"], other["name"]
    for run in (first, other):
        if not run["complete"]:
            yield f"{run['name']} is incomplete: {run['samples']} of {run['planned_samples']} samples were taken."
        if run["invalid"]:
            yield f"{counted(run['invalid'], 'invalid sample')} of {run['name']} counted for nothing."
    prompts = result["prompts"]
    for name, count in zip(names, (prompts["first_only"], prompts["second_only"]), strict=True):
        if count:
            yield f"{counted(count, 'prompt')} only in {name}, left out."
    if prompts["changed"]:
        yield f"{counted(prompts['changed'], 'prompt')} with the same id and another text in {names[1]}, left out."
    for name, key in zip(names, ("first_only", "second_only"), strict=True):
        if result[key]:
            yield f"Only in {name}: {', '.join(result['titles'][label] for label in result[key])}."
    if result["prompts"]["other_history"]:
        found = counted(result["prompts"]["other_history"], "turn")
        yield f"{found} with a prompt of another length in {names[1]}, since what was said before differs."
    for label, figures in result["parts"][OVERALL].items():
        if figures["unpaired"]:
            found = counted(figures["unpaired"], "turn")
            yield f"{result['titles'][label]}: {found} with samples in one run only, left out."
    if min(first["sessions"], other["sessions"]) == 1:
        yield (
            "A single session doesn't show what changes from one process to the next, so the intervals may be too "
            "narrow; measure with --sessions 3."
        )
