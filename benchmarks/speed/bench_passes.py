"""Passes of the built-in pair, over the plain twin's pass over as many tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.speed.ratios import Measure
from benchmarks.speed.works import a_pass
from draftwise import Engine

ROUNDS = 60


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize("role", ["target", "draft"])
def bench_builtin_pass(measure: Measure, load: Callable[..., Engine], role: str, width: int, dtype: str) -> None:
    """What a backend gains over the plain twin."""
    fast, plain = load(dtype=dtype), load(dtype=dtype, backend="plain", exact=False)
    measure(a_pass(getattr(fast, role), width), a_pass(getattr(plain, role), width), ROUNDS)
