"""Weight-only int8: what rounding does, and what a model of whole numbers computes."""

from __future__ import annotations

import pytest
import torch
from tiny_families import directory, ids, own, whole
from torch import Tensor

from draftwise.models.loading import load_model
from draftwise.models.quantised import dequantise, quantise


def weights(seed: int = 0) -> Tensor:
    spread = torch.logspace(-3, 3, 40)[:, None]
    return torch.randn(40, 64, generator=torch.Generator().manual_seed(seed)) * spread


def test_no_value_moves_by_more_than_half_a_step_of_its_row() -> None:
    weight = weights()
    whole_numbers, scale = quantise(weight)
    assert (whole_numbers.dtype, scale.dtype, scale.shape) == (torch.int8, torch.float32, (40,))
    moved = (dequantise(whole_numbers, scale) - weight).abs()
    assert bool((moved <= 0.5001 * scale[:, None]).all()) and moved.max() > 0


def test_each_row_uses_the_whole_range_and_is_symmetric() -> None:
    whole_numbers, scale = quantise(weights())
    assert torch.equal(whole_numbers.abs().amax(1), torch.full((40,), 127, dtype=torch.int8))
    mirrored, same = quantise(-weights())
    assert torch.equal(mirrored, -whole_numbers) and torch.equal(same, scale)


def test_what_is_whole_already_comes_back_as_it_was() -> None:
    numbers = torch.randint(-127, 128, (8, 16), generator=torch.Generator().manual_seed(1))
    numbers[:, 0] = 127
    weight = numbers * 0.25
    assert torch.equal(dequantise(*quantise(weight)), weight)


def test_a_row_of_zeros_stays_one() -> None:
    whole_numbers, scale = quantise(torch.zeros(2, 4))
    assert not whole_numbers.any() and torch.equal(scale, torch.ones(2))


@pytest.mark.parametrize("name", ["opt", "opt 350m", "gpt2", "gpt-neox", "llama grouped", "gemma3 text", "phi3"])
def test_a_model_of_whole_numbers_answers_almost_as_one_of_floats(name: str) -> None:
    model = load_model(directory(name), dtype="int8", backend="plain")
    tokens = ids(2, 24)
    true, got = whole(own(name), tokens), whole(model, tokens)
    assert model.dtype == torch.float32
    assert 1e-4 < float((got - true).std() / true.std()) < 0.1


def test_only_matrices_are_whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables, norms and biases are bfloat16, and a matrix is quantised from all the digits that its file has."""
    name = "llama grouped"
    model = load_model(directory(name), dtype="int8", backend="plain")
    exact, rounded = (load_model(directory(name), dtype=dtype, backend="plain") for dtype in ("float32", "bfloat16"))
    ours, true, half = (found._weights for found in (model, exact, rounded))  # type: ignore[attr-defined]
    assert torch.equal(ours.tokens, half.tokens.float())
    assert torch.equal(ours.layers[1].attention_norm.weight, half.layers[1].attention_norm.weight.float())
    assert torch.equal(ours.layers[1].up.bias, half.layers[1].up.bias.float())
    for layer, truth in zip(ours.layers, true.layers, strict=True):
        for part in ("qkv", "out", "up", "down"):
            matrix, weight = getattr(layer, part), getattr(truth, part).weight
            assert torch.equal(matrix.weight, dequantise(*quantise(weight)))
    assert torch.equal(ours.head.weight, dequantise(*quantise(true.head.weight)))
