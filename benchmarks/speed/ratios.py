"""Two works timed in turns, and the ratio of their times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from scipy.stats import binom

WARM_UPS = 3
CONFIDENCE = 0.95


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Work:
    """What is timed.

    Attributes:
        run: the timed call; it gets what ``prepare`` made.
        prepare: makes ready for one run, outside the clock.
        parts: rounds, tokens or passes of a run; a time is divided by them.
    """

    run: Callable[[Any], object]
    prepare: Callable[[], Any] = _nothing
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times a reference's time a work takes: the median of pairs and its interval; medians in microseconds."""

    value: float
    low: float
    high: float
    subject_us: float
    reference_us: float


SetUp = Callable[[], tuple[tuple[Any], dict[str, Any]]]
"""Gives a call's positional and keyword arguments, as pytest-benchmark wants them."""
Measure = Callable[[Work, Work, int], Ratio]
"""Times a work in turns with its reference for that many rounds."""


Pedantic = Callable[[Callable[[Any], object], SetUp, int], Sequence[float]]
"""Runs a call after its set-up for some rounds and gives the seconds of each, set-ups and warm-ups left out."""


def in_turns(
    subject: Work, reference: Work, rounds: int, pedantic: Pedantic, clock: Callable[[], float] = perf_counter
) -> Ratio:
    """Time the reference and then the subject, again and again, so that a slow moment of the machine meets both.

    Args:
        subject: timed by ``pedantic``.
        reference: timed by ``clock``, in seconds.
        rounds: of both.
        pedantic: runs the subject.
        clock: of the reference.
    """
    times: list[float] = []

    def setup() -> tuple[tuple[Any], dict[str, Any]]:
        mine, theirs = subject.prepare(), reference.prepare()
        began = clock()
        reference.run(theirs)
        times.append(clock() - began)
        return (mine,), {}

    taken = [seconds / subject.parts for seconds in pedantic(subject.run, setup, rounds)]
    return ratio_of(taken, [seconds / reference.parts for seconds in times[-rounds:]])


def ratio_of(subject: Sequence[float], reference: Sequence[float]) -> Ratio:
    """The median of the ratios of pairs; its interval by order statistics, which asks nothing of their law.

    Args:
        subject: seconds, as many as of the reference.
        reference: the seconds of the run before each.
    """
    pairs = sorted(mine / theirs for mine, theirs in zip(subject, reference, strict=True))
    rank = max(0, int(binom.ppf((1 - CONFIDENCE) / 2, len(pairs), 0.5)) - 1)
    low, high = pairs[rank], pairs[-1 - rank]
    return Ratio(median(pairs), low, high, 1e6 * median(subject), 1e6 * median(reference))
