"""The bytes that a backend takes, against what lies in memory once it has a model."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from tiny_families import directory
from torch import Tensor

from draftwise.models.loading import ModelSpec, open_model

CASES = [("plain", dtype) for dtype in ("float32", "bfloat16", "int8")]
CASES += [("packed", dtype) for dtype in ("float32", "bfloat16")]
BLOCK = 64


def bytes_of(value: Any, seen: set[int]) -> int:
    """The bytes of all tensors in a value, each place in memory once."""
    if isinstance(value, Tensor):
        place = value.data_ptr() if value.layout == torch.strided else id(value)
        known = place in seen
        seen.add(place)
        return 0 if known else value.nbytes
    if is_dataclass(value):
        return sum(bytes_of(getattr(value, item.name), seen) for item in fields(value))
    return sum(bytes_of(item, seen) for item in value) if isinstance(value, tuple) else 0


@pytest.mark.parametrize(("backend", "dtype"), CASES)
@pytest.mark.parametrize("name", ["opt", "opt 350m", "gpt2", "llama grouped", "qwen2", "qwen3", "phi3 windowed"])
def test_the_estimate_is_what_a_loaded_model_takes(name: str, backend: str, dtype: str) -> None:
    opened = open_model(ModelSpec(str(directory(name)), backend=backend, dtype=dtype))
    found = opened.memory("target", batch=2, context=BLOCK - 1, chunk=8)
    model: Any = opened.load()
    assert found.weights == pytest.approx(bytes_of(model._weights, set()), rel=0.01)
    assert found.cache == model.new_cache(2, BLOCK - 1).nbytes


def test_whole_numbers_take_a_quarter_of_the_room_of_float32() -> None:
    sizes = {
        dtype: open_model(ModelSpec(str(directory("llama")), backend="native", dtype=dtype)).memory(
            "target", batch=1, context=8, chunk=8
        )
        for dtype in ("float32", "bfloat16", "int8")
    }
    assert 0.25 < sizes["int8"].weights / sizes["float32"].weights < 0.4
    assert sizes["int8"].weights < 0.75 * sizes["bfloat16"].weights


@pytest.mark.parametrize(("backend", "dtype"), CASES)
def test_a_pass_reads_the_matrices_as_they_lie_in_memory(backend: str, dtype: str) -> None:
    model: Any = open_model(ModelSpec(str(directory("llama")), backend=backend, dtype=dtype)).load()
    weights = model._weights
    read = bytes_of(weights.layers, set()) + bytes_of(weights.head, set()) + bytes_of(weights.final_norm, set())
    assert model.bytes_per_pass == read
