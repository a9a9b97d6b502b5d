"""Passes of OPT-125m's shape: how far from the time that reading their weights takes, and what more tokens cost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.speed.ratios import Measure
from benchmarks.speed.works import a_pass, a_read
from draftwise import Engine
from draftwise.models.protocol import CausalLM

ROUNDS = 30
NAME = "grown:facebook/opt-125m"
DTYPES = ["float32", "bfloat16"]


@pytest.fixture
def large(load: Callable[..., Engine]) -> Callable[[str], CausalLM]:
    """The built-in target in OPT-125m's shape: its size and cost, from the weights that ship."""
    return lambda dtype: load(NAME, dtype=dtype).target


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 5, 8])
def bench_pass_over_reading(measure: Measure, large: Callable[[str], CausalLM], width: int, dtype: str) -> None:
    """The inverse of the share of the read bandwidth that a pass reaches."""
    model = large(dtype)
    measure(a_pass(model, width), a_read(model.bytes_per_pass), ROUNDS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [5, 8])
def bench_pass_over_one_token(measure: Measure, large: Callable[[str], CausalLM], width: int, dtype: str) -> None:
    """v(k), which speculation pays for every round."""
    model = large(dtype)
    measure(a_pass(model, width), a_pass(model, 1), ROUNDS)
