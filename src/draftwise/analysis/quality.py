"""What the answers are worth, and whether they are plain decoding's own.

- **agreement**: the share of tasks (each turn for itself) whose ids equal plain decoding's; at temperature > 0 equal
  ids aren't to be expected, so it is None.
- **divergence**: the first differing position, counted from 0, over the tasks that differ.
- **quality**: the mean over prompts of a prompt's mean score over its turns, of those that have a reference.
- **quality change**: the same of the difference from plain decoding's score at the same turn, so paired by prompt. It
  is given for lossless methods too, and is None for plain decoding itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from draftwise.analysis.bootstrap import NOTHING, Resampling, named
from draftwise.analysis.checks import EQUAL, UNKNOWN, CheckTable
from draftwise.analysis.tally import Ints
from draftwise.bench.cells import BASELINE

Floats = NDArray[np.float64]


def quality_figures(table: CheckTable, part: str | None) -> dict[str, dict[str, Any]]:
    """Agreement, divergence, quality and its change for every label in a part; one set of draws serves all."""
    rows = {label: table.rows(part, label) for label in table.labels}
    scored = _scored_prompts(table, rows)
    draws = Resampling((len(scored), 1, 1), table.seed)
    return {label: _sameness(table, rows[label]) | _quality(table, label, rows[label], scored, draws) for label in rows}


def _sameness(table: CheckTable, rows: Ints) -> dict[str, Any]:
    known = table.answers.differs[rows]
    known = known[known != UNKNOWN]
    if not table.greedy or not len(known):
        return {"agreement": None, "divergence": None}
    places = known[known != EQUAL]
    share = len(places) / len(known)
    found = {"share": share, "median": float(np.median(places)), "earliest": int(places.min())} if len(places) else None
    return {"agreement": 1 - share, "divergence": found}


def _quality(table: CheckTable, label: str, rows: Ints, scored: Ints, draws: Resampling) -> dict[str, Any]:
    prompts, own = table.answers.prompt[rows], table.answers.score[rows]
    change = own - table.answers.baseline_score[rows]
    quality = draws.mean(_by_prompt(prompts, own, scored), within=(0, 1))
    if label == BASELINE:
        return named("quality", quality) | named("quality_change", NOTHING)
    return named("quality", quality) | named(
        "quality_change", draws.mean(_by_prompt(prompts, change, scored), within=(-1, 1))
    )


def _scored_prompts(table: CheckTable, rows: dict[str, Ints]) -> Ints:
    """The prompts of which any answer has a score, sorted."""
    every = np.concatenate([*rows.values(), np.zeros(0, np.int64)])
    return np.unique(table.answers.prompt[every[~np.isnan(table.answers.score[every])]])


def _by_prompt(prompts: Ints, values: Floats, scored: Ints) -> Floats:
    """Each prompt's mean over its turns, [P, 1, 1]; NaN where none is known."""
    known = ~np.isnan(values)
    places = np.searchsorted(scored, prompts[known])
    counts = np.bincount(places, minlength=len(scored))
    sums = np.bincount(places, values[known], len(scored))
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts)[:, None, None]
