"""What became of the drafted tokens: acceptance length and rate, by position, wasted work, who wrote the text.

With n new tokens in m rounds (target passes):

- **acceptance length**: n / m over everything (step-weighted), or the mean over answers of their own n / m.
- **acceptance rate**: accepted / drafted tokens. It isn't α: a draft's tail behind a rejection counts as drafted.
- **α**: accepted / examined tokens, the chance that a drafted token stands where all before it do. A round examines its
  accepted tokens and the one that it rejects, where it rejects one.
- **by position** (i from 1). A drafted position is *countable* if it could have been emitted: in the round that ends a
  text, by a stop token or at the length limit, the positions up to the last emitted token; in every other round those
  up to the length limit. Unconditional: of the rounds with a countable position i, the share that accepted it.
  Conditional: of the rounds that examined position i, the share that accepted it. Both are None for a position that no
  round had.
- **histogram**: all rounds by their accepted tokens, those without a draft at 0. So its sum is the rounds, and the sum
  of place times count is the accepted tokens.
- **rollback**: the target wrote a token of its own instead of a drafted one, a stop token included. Where a text ended
  at an accepted token, nothing was rolled back.
- **fallback**: the draft stopped, with tokens and room left and not at a stop token, because it was unsure. That costs
  a pass of the draft whose token is thrown away; a draft that pauses beyond its model's context makes no such pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from draftwise.analysis.checks import CheckTable
from draftwise.analysis.tally import Ints, Tally


def acceptance_figures(table: CheckTable, part: str | None, label: str) -> dict[str, Any]:
    """The acceptance of a label in a part: three figures for every label, and the rest where anything was drafted."""
    tally, rows = table.tally(part, label), table.rows(part, label)
    by_request = table.answers.tokens[rows] / table.answers.passes[rows]
    length = _ratio(tally.tokens, tally.rounds)
    by_answer = float(by_request.mean()) if len(rows) else None
    rate = _ratio(tally.accepted, tally.drafted)
    details = _details(tally, table.options(label)) if tally.drafted else None
    return {
        "acceptance_length": length,
        "acceptance_length_by_request": by_answer,
        "acceptance_rate": rate,
        "acceptance": details and {"length": length, "length_by_request": by_answer, "rate": rate} | details,
    }


def alpha(tally: Tally) -> float | None:
    """The chance that a drafted token stands where all before it do; None where none was examined."""
    return _ratio(tally.accepted, tally.accepted + tally.rejections)


def _details(tally: Tally, options: Any) -> dict[str, Any]:
    unsure = "fallback_threshold" in options
    return {
        "alpha": alpha(tally),
        "unconditional": unconditional(tally),
        "conditional": conditional(tally),
        "histogram": _trimmed(tally.by_accepted),
        "rounds": tally.rounds,
        "drafted": tally.drafted,
        "accepted": tally.accepted,
        "wasted": tally.drafted - tally.accepted,
        "wasted_per_token": (tally.drafted - tally.accepted) / tally.tokens,
        "drafted_per_round": tally.drafted / tally.rounds,
        "draft_passes_per_round": tally.draft_passes / tally.rounds,
        "small_model_share": tally.accepted / tally.tokens,
        "fallbacks_per_token": tally.fallbacks / tally.tokens if unsure else None,
        "rollbacks_per_token": tally.rejections / tally.tokens if "rollback_threshold" in options else None,
    }


def unconditional(tally: Tally) -> list[float | None]:
    """For each position the share of the rounds with it countable that accepted it."""
    return _shares(_at_least(tally.by_accepted), _at_least(tally.by_countable))


def conditional(tally: Tally) -> list[float | None]:
    """For each position the share of the rounds that examined it that accepted it."""
    accepted = _at_least(tally.by_accepted)
    return _shares(accepted, accepted + tally.by_rejected[: len(accepted)])


def _at_least(counts: Ints) -> Ints:
    """Rounds that reach position 1, 2, … from rounds by what they reach, [W] to [W - 1]."""
    return np.asarray(counts[:0:-1].cumsum()[::-1])


def _shares(part: Ints, whole: Ints) -> list[float | None]:
    return [_ratio(int(a), int(b)) for a, b in zip(part, whole, strict=True)]


def _trimmed(counts: Ints) -> list[int]:
    """Counts up to the last that isn't 0."""
    return [int(count) for count in counts[: np.flatnonzero(counts).max(initial=0) + 1]]


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
