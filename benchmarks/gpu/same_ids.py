"""Whether speculative sampling writes plain decoding's ids, by the exactness check, until the time is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.exactness.check import Outcome, Way, check
from benchmarks.exactness.prompts import Item
from benchmarks.exactness.table import table_lines
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.errors import describe
from benchmarks.gpu.scale import Scale
from draftwise import Engine
from draftwise.options import DecodingOptions


def wanted_ways(scale: Scale) -> list[Way]:
    """Plain decoding in every batch, then drafts of every length, the most telling first."""
    plain = [Way("none", batch) for batch in scale.batches]
    drafted = [Way("model", batch, gamma) for gamma in scale.gammas for batch in scale.batches]
    # A guessing draft knows its answers beforehand, so each batch's rounds are recorded anew: one way of it, and last.
    guesses = [Way("guesses", scale.batches[-1], scale.gammas[0])]
    return [*drafted[: len(scale.batches)], *plain, *drafted[len(scale.batches) :], *guesses]


def compare_ids(engine: Engine, items: Sequence[Item], scale: Scale, budget: Budget) -> dict[str, Any]:
    """Decode in way after way; at least in the first.

    Returns:
        ``exact``, what the backend says of itself; ``holds``, whether all ids are equal; ``prompts``, ``answers``
        compared and how many are ``equal``; ``ways``, each as JSON; ``table``, lines for people; ``cut``, how many
        ways were left out; and the ``error`` of one that broke after another had been decoded.
    """
    ways = wanted_ways(scale)
    outcomes: list[Outcome] = []
    error = {}
    found = check(engine, items, DecodingOptions(**scale.decoding), ways)
    while len(outcomes) < len(ways) and (budget.left or not outcomes):
        try:
            outcomes.append(next(found))
        except Exception as problem:  # what was compared before is worth having
            if not outcomes:
                raise
            error = {"error": f"{ways[len(outcomes)]}: {describe(problem)}"}
            break
    left_out = ways[len(outcomes) :]
    return {
        "exact": engine.target.backend.exact,
        "holds": all(outcome.holds for outcome in outcomes),
        "prompts": len(items),
        "answers": sum(outcome.prompts for outcome in outcomes),
        "equal": sum(outcome.equal for outcome in outcomes),
        "ways": [asdict(outcome) for outcome in outcomes],
        "table": list(table_lines(outcomes)),
        **({"cut": f"{len(left_out)} of {len(ways)} ways to decode were left out"} if left_out else {}),
        **error,
    }
