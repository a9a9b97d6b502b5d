"""Passes of the built-in pair, over reading as many bytes as their weights have."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.speed.ratios import Measure
from benchmarks.speed.works import a_pass, a_read
from draftwise import Engine

ROUNDS = 100


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize("role", ["target", "draft"])
def bench_builtin_pass(measure: Measure, load: Callable[..., Engine], role: str, width: int, dtype: str) -> None:
    """What calls and threads cost beside reading; these weights lie in a processor's caches."""
    model = getattr(load(dtype=dtype), role)
    measure(a_pass(model, width), a_read(model.bytes_per_pass), ROUNDS)
