from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes import METHODS, FakeEngine, add_suite

from draftwise.bench import BenchSettings
from draftwise.options import DecodingOptions
from draftwise.tasks import SUITES


@pytest.fixture(autouse=True)
def small_suite() -> Iterator[None]:
    add_suite()
    yield
    del SUITES["small"]


@pytest.fixture
def settings() -> BenchSettings:
    return BenchSettings(suite="small", methods=METHODS, repeats=3, decoding=DecodingOptions(max_new_tokens=12))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()
