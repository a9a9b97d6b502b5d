"""Where the time of a round went, in the traced rounds of the check pass: shares, no speeds."""

from __future__ import annotations

from typing import Any

from draftwise.analysis.checks import CheckTable
from draftwise.analysis.tally import SPANS


def time_figures(table: CheckTable, part: str | None, label: str) -> dict[str, Any]:
    """The shares of a label's rounds in a part, which sum to 1, and the mean round in nanoseconds; or None for both.

    Shares are of the sum over all rounds, so a long round weighs more than a short one.
    """
    tally = table.tally(part, label)
    total = int(tally.times.sum())
    if not total:
        return {"time": None}
    shares = {name: int(span) / total for name, span in zip(SPANS, tally.times, strict=True)}
    return {"time": shares | {"round_ns": total / tally.rounds}}
