from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes import COSTS, METHODS, FakeEngine, add_suite
from nursery import Nursery

from draftwise.bench import BenchSettings, fingerprint, measure
from draftwise.options import DecodingOptions
from draftwise.tasks import SUITES


@pytest.fixture(autouse=True)
def small_suite(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A suite of seven turns; no git is asked, and no fake model's pass is timed."""
    monkeypatch.setattr(fingerprint, "code_revision", lambda root: None)
    monkeypatch.setattr(measure, "measure_costs", lambda *_: COSTS)
    add_suite()
    yield
    del SUITES["small"]


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with Nursery() as found:
        yield found


@pytest.fixture
def settings() -> BenchSettings:
    return BenchSettings(suite="small", methods=METHODS, repeats=3, decoding=DecodingOptions(max_new_tokens=12))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()
