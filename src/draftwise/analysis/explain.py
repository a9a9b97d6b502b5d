"""One plain sentence on a method in a part of the run: whether speculation pays there, and what it is due to.

The measured speed-up is held against what acceptance and the cost of passes allow (``costs``). Where it falls short
beyond its interval, the sentence names the largest part of the traced rounds that this model leaves out: the engine and
the judge, waiting for a processor, or drafting or verifying that took longer than the same passes did alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from draftwise.analysis.bootstrap import verdict

Figures = dict[str, Any]

LEAST_SHARE = 0.005
"""A part of a round must be larger than this to explain anything."""


class _Speed(NamedTuple):
    """A measured speed-up and what it shows."""

    value: float
    low: float | None
    high: float | None

    @property
    def shows(self) -> str | None:
        return verdict(self.low, self.high)

    def holds(self, value: float) -> bool:
        """Whether a value lies within the interval."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high


def explain(title: str, figures: Figures) -> str | None:
    """Whether a method pays in a part of a run, and why.

    Args:
        title: the method's, as people write it.
        figures: of the method in that part, as ``summary.json`` has them; not plain decoding's.

    Returns:
        A sentence, or None where nothing is known.
    """
    if figures.get("speedup") is None:
        return _untimed(title, figures)
    speed = _Speed(figures["speedup"], figures.get("speedup_low"), figures.get("speedup_high"))
    if figures.get("acceptance_length") is None:
        said = f"{_outcome(title, speed)}; no answer was looked at that would say why"
    elif figures.get("acceptance") is None:
        said = _nothing_drafted(title, speed, figures)
    elif figures.get("cost") is None:
        said = f"{_outcome(title, speed)} with {_tokens(figures)}; what its passes cost was not measured"
    else:
        said = _against_costs(title, speed, figures)
    return f"{said}{_worth(figures)}."


def speed_gap(figures: Figures) -> float | None:
    """The measured by the expected speed-up, 1 where the cost model says it all; None where either is unknown."""
    measured, cost = figures.get("speedup"), figures.get("cost")
    return measured / cost["expected_speedup"] if measured is not None and cost else None


def _untimed(title: str, figures: Figures) -> str | None:
    cost = figures.get("cost")
    if not cost or figures.get("acceptance") is None:
        return None
    return (
        f"{title} was not timed against AS; its acceptance and costs allow {cost['expected_speedup']:.2f}×: "
        f"{_balance(figures)}."
    )


def _outcome(title: str, speed: _Speed) -> str:
    """What the times say, with the figure."""
    if speed.shows is None:
        return f"{title} measured {speed.value:.2f}×, without an interval,"
    if speed.shows == "no difference shown":
        return f"{title} shows no difference from AS ({_span(speed)})"
    return f"{title} {'gains' if speed.shows == 'faster' else 'loses here:'} {speed.value:.2f}×"


def _nothing_drafted(title: str, speed: _Speed, figures: Figures) -> str:
    cost = figures.get("cost")
    if not cost or not cost["draft_cost"]:
        return f"{title} drafted nothing here: {_bare(speed)}"
    spent = f"its draft passes took {cost['draft_cost']:.2f} of a target pass a round"
    return f"{title} kept no drafted token here, and {spent}: {_bare(speed)}"


def _bare(speed: _Speed) -> str:
    if speed.shows == "no difference shown":
        return f"no difference from AS is shown ({_span(speed)})"
    return f"{speed.value:.2f}×" + ("" if speed.shows else ", without an interval")


def _against_costs(title: str, speed: _Speed, figures: Figures) -> str:
    allowed, length = figures["cost"]["expected_speedup"], figures["acceptance_length"]
    if speed.shows == "slower":
        if length < figures["cost"]["break_even"]:
            return f"{title} loses here: {_balance(figures)}"
        emitted, needed = _balanced(figures)
        held = f"with {emitted} tokens a pass where {needed} would break even"
        return f"{title} loses here, {speed.value:.2f}×, {held}: {_where(figures)}"
    outcome = _outcome(title, speed)
    if speed.shows is None:
        return f"{outcome} where its acceptance and costs allow {allowed:.2f}×: {_balance(figures)}"
    if speed.holds(allowed):
        if speed.shows == "faster":
            return f"{outcome}; the {allowed:.2f}× that its acceptance and costs allow lies within the interval"
        return f"{outcome}: {_balance(figures)}"
    if allowed < speed.value:
        return f"{outcome}, more than the {_unlike(allowed, speed.low)}× that its acceptance and costs let expect"
    return f"{outcome}; its acceptance and costs allow {_unlike(allowed, speed.high)}×: {_where(figures)}"


def _where(figures: Figures) -> str:
    """The largest part of a round that the cost model leaves out."""
    time = figures.get("time")
    if not time:
        return "no round was traced to say where the rest goes"
    share, name = max(_left_out(time, figures["cost"]))
    if share <= LEAST_SHARE:
        return "no part of the traced rounds says where the rest goes"
    return f"{100 * share:.0f} % of a round goes to {name}"


def _left_out(time: Figures, cost: Figures) -> list[tuple[float, str]]:
    """The shares of a round that are no pass, or are more than the passes take alone."""
    unit = cost["target_ns"] / time["round_ns"]
    return [
        (time["engine"] + time["judge"], "the engine and the judge"),
        (time["wait"], "waiting for a processor"),
        (time["draft"] - cost["draft_cost"] * unit, "drafting beyond what its passes take alone"),
        (time["verify"] - cost["verify_cost"] * unit, "verifying beyond what its passes take alone"),
    ]


def _worth(figures: Figures) -> str:
    """What the answers are worth where they aren't known to be plain decoding's."""
    agreement, change = figures.get("agreement"), figures.get("quality_change")
    if agreement == 1:
        return ""
    if change is None:
        return "" if agreement is None else "; nothing says what its different answers are worth"
    low, high = figures.get("quality_change_low"), figures.get("quality_change_high")
    span, noise = "", ""
    if low is not None and high is not None:
        span, noise = f" ({low:+.3f} to {high:+.3f})", ", which is noise" if low <= 0 <= high else ""
    if f"{abs(change):.3f}" == "0.000":
        return f"; its answers score as those of AS do{span}"
    return f"; its answers score {abs(change):.3f} {'less' if change < 0 else 'more'} than those of AS{span}{noise}"


def _balance(figures: Figures) -> str:
    """Tokens a pass, and how many it takes."""
    length, needed = _balanced(figures)
    return f"{length} tokens a pass, {needed} needed to break even"


def _balanced(figures: Figures) -> tuple[str, str]:
    return _apart(figures["acceptance_length"], figures["cost"]["break_even"])


def _tokens(figures: Figures) -> str:
    return f"{figures['acceptance_length']:.1f} tokens a pass"


def _span(speed: _Speed) -> str:
    return f"{speed.low:.2f}× to {speed.high:.2f}×"


def _apart(first: float, second: float) -> tuple[str, str]:
    """Two numbers with as many decimals, from 1 to 6, as tell them apart."""
    pairs = ((f"{first:.{digits}f}", f"{second:.{digits}f}") for digits in range(1, 7))
    found = next((pair for pair in pairs if pair[0] != pair[1]), None)
    return found or (f"{first:.1f}", f"{second:.1f}")


def _unlike(value: float, other: float | None) -> str:
    """A number with as many decimals, from 2 to 6, as tell it from another."""
    texts = (f"{value:.{digits}f}" for digits in range(2, 7) if f"{value:.{digits}f}" != f"{other:.{digits}f}")
    return next(texts, f"{value:.2f}")
