"""The cost model: what the acceptance that was measured is worth at the price of passes that was measured.

All costs are in passes of the target over one token, T(1). v(k) = T(k) / T(1) for a target pass over k tokens, c for a
draft pass over one token. A round with a draft of k tokens costs v(k + 1) and its draft passes; the first of them feeds
two tokens, but for a text's first round (``drafters/small_model.py``), each other one feeds one. A method is then
expected to be acceptance length / mean round cost times as fast as plain decoding, and breaks even at as many tokens a
pass as a round costs. What the engine and the judge take is in neither, so this is what acceptance and passes allow.

Leviathan et al. 2023 (arXiv:2211.17192), theorem 3.8, says the same of drafts of γ tokens that are accepted with an
equal and independent chance α each, where v = 1 and each draft pass costs c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from draftwise.analysis.acceptance import alpha
from draftwise.analysis.checks import CheckTable
from draftwise.analysis.tally import Tally

Widths = Callable[[int], float]
"""v: what a target pass over k tokens costs, in passes over one."""


def no_dearer(width: int) -> float:
    """The papers' v: a pass over many tokens costs what a pass over one does."""
    return 1.0


def expected_tokens(alpha: float, gamma: int) -> float:
    """Tokens a round, (1 - α^(γ+1)) / (1 - α), the target's own included (Leviathan et al. 2023, equation 1)."""
    return sum(alpha**place for place in range(gamma + 1))


def speedup(alpha: float, gamma: int, c: float, v: Widths = no_dearer) -> float:
    """How many times as fast as plain decoding: E / (γ c + v(γ + 1))."""
    return expected_tokens(alpha, gamma) / (gamma * c + v(gamma + 1))


def best_gamma(alpha: float, c: float, v: Widths = no_dearer, most: int = 64) -> int:
    """The draft length up to ``most`` that is fastest, the shortest of equals; 0 where speculation doesn't pay."""
    return max(range(most + 1), key=lambda gamma: (speedup(alpha, gamma, c, v), -gamma))


@dataclass(frozen=True, slots=True)
class Curve:
    """The time of a pass by the number of tokens that it feeds."""

    widths: tuple[int, ...]  # ascending
    times: tuple[float, ...]  # nanoseconds, of each

    @classmethod
    def of(cls, measured: Mapping[str, float] | None) -> Curve | None:
        """The curve of a model in ``costs.json``; None without a pass over one token, the unit of all others."""
        points = sorted((int(width), time) for width, time in (measured or {}).items() if time > 0)
        if not points or points[0][0] != 1:
            return None
        return cls(tuple(width for width, _ in points), tuple(time for _, time in points))

    @property
    def widest(self) -> int:
        """The widest pass that was measured."""
        return self.widths[-1]

    def at(self, width: int) -> float:
        """The time at a width: straight lines between what was measured, and beyond it the last line held.

        Where that line falls, which is noise, or there is but one point, the last time is held instead.
        """
        inside = float(np.interp(width, self.widths, self.times))
        if width <= self.widest or len(self.widths) == 1:
            return inside
        slope = (self.times[-1] - self.times[-2]) / (self.widths[-1] - self.widths[-2])
        return inside + max(0.0, slope) * (width - self.widest)


def cost_figures(table: CheckTable, part: str | None, label: str, costs: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a label's rounds in a part cost, and what speed they let expect.

    Returns:
        ``cost``, None for a label without a draft model, without rounds, or without measured costs of both models; else

        - ``c``; ``v``, a list for passes over 1, 2, … tokens up to the longest draft and one;
        - ``draft_cost``, ``verify_cost`` and their sum ``round_cost``, means over the rounds that were run;
        - ``break_even``, the tokens a pass at which nothing is gained or lost;
        - ``expected_speedup``; ``formula_speedup`` for drafts of a fixed length; ``gap``, filled in beside a measured
          speed-up (``explain.speed_gap``);
        - ``target_ns``, T(1); ``extrapolated_from``, the widest measured pass where wider ones were needed, or None.
    """
    name, tally = table.methods.get(label, {}).get("draft"), table.tally(part, label)
    target = Curve.of((costs or {}).get("target"))
    draft = Curve.of(((costs or {}).get("drafts") or {}).get(name)) if name is not None else None
    if target is None or draft is None or draft.widest < 2 or not tally.rounds:
        return {"cost": None}
    return {"cost": _cost(tally, target, draft, table.options(label))}


def _cost(tally: Tally, target: Curve, draft: Curve, options: Mapping[str, Any]) -> dict[str, Any]:
    unit = target.at(1)
    v = [target.at(width) / unit for width in range(1, len(tally.by_drafted) + 1)]
    verify = float(tally.by_drafted @ np.array(v)) / tally.rounds
    single = tally.draft_passes - tally.double_feeds
    drafting = (tally.double_feeds * draft.at(2) + single * draft.at(1)) / unit / tally.rounds
    c, widest = draft.at(1) / unit, max(len(v), _formula_width(options))
    return {
        "c": c,
        "v": v,
        "draft_cost": drafting,
        "verify_cost": verify,
        "round_cost": drafting + verify,
        "break_even": drafting + verify,
        "expected_speedup": tally.tokens / tally.rounds / (drafting + verify),
        "formula_speedup": _formula(tally, target, c, options),
        "gap": None,
        "target_ns": unit,
        "extrapolated_from": target.widest if widest > target.widest else None,
    }


def _formula_width(options: Mapping[str, Any]) -> int:
    return int(options["gamma"]) + 1 if "gamma" in options else 1


def _formula(tally: Tally, target: Curve, c: float, options: Mapping[str, Any]) -> float | None:
    chance = alpha(tally)
    if "gamma" not in options or chance is None:
        return None
    return speedup(chance, int(options["gamma"]), c, lambda width: target.at(width) / target.at(1))
