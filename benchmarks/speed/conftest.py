"""What the benchmarks share: models, loaded once, and the measuring of a ratio by pytest-benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import Any

import pytest

from benchmarks.speed.ratios import WARM_UPS, Measure, Ratio, SetUp, Work, in_turns
from draftwise import Engine


@pytest.fixture
def measure(benchmark: Any) -> Measure:
    """Times a work in turns with its reference, and puts the ratio into pytest-benchmark's record."""

    def pedantic(run: Callable[[Any], object], setup: SetUp, rounds: int) -> list[float]:
        benchmark.pedantic(run, setup=setup, rounds=rounds, warmup_rounds=WARM_UPS)
        return list(benchmark.stats.stats.data)

    def measured(subject: Work, reference: Work, rounds: int) -> Ratio:
        found = in_turns(subject, reference, rounds, pedantic)
        benchmark.extra_info["ratio"] = asdict(found)
        return found

    return measured


@pytest.fixture(scope="session")
def load() -> Callable[..., Engine]:
    """Loads an engine; the same one for the same arguments."""
    return cache(Engine.load)
