"""The Triton pass: its plain twin's logits, and the same bits alone, in a batch, with a draft and after a rewind.

Runs on a CUDA device or, with TRITON_INTERPRET=1, in Triton's interpreter, which knows no bfloat16.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pytest
import torch
from tiny_families import CASES, close, directory, ids
from torch import Tensor

from draftwise.models.loading import load_model
from draftwise.models.own import Matrix, Transformer
from draftwise.models.own.functions import ACTIVATIONS as PLAIN

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
pytest.importorskip("triton", reason="the package triton is not installed")
if not INTERPRETED and not torch.cuda.is_available():
    pytest.skip("needs a CUDA device, or TRITON_INTERPRET=1", allow_module_level=True)

from draftwise.models.backends.triton import build, why_not  # noqa: E402
from draftwise.models.backends.triton.attention import STRETCH, attention  # noqa: E402
from draftwise.models.backends.triton.products import ACTIVATIONS, FEW, MANY, product  # noqa: E402

DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
DTYPES = ("float32", "float16") if INTERPRETED else ("float32", "float16", "bfloat16")
KINDS = ("opt", "opt 350m", "gpt2", "gpt-neox", "llama grouped", "mistral windowed", "qwen3", "gemma2")


@cache
def plain(name: str, dtype: str = "float32") -> Any:
    model = load_model(directory(name), dtype=dtype, device=str(DEVICE), backend="plain")
    assert isinstance(model, Transformer)
    return model


@cache
def twin(name: str, dtype: str = "float32") -> Any:
    """The same weights, run by Triton."""
    model = plain(name, dtype)
    return build(model.architecture, model._weights, model.eos_token_ids)


def run(model: Any, tokens: Tensor, starts: list[int], cache: Any, keep: int) -> Tensor:
    span = min(max(starts) + tokens.shape[1], model.max_positions)
    where = torch.tensor(starts, device=DEVICE)
    logits: Tensor = model.forward(tokens.to(DEVICE), where, cache, span=span, keep=keep)
    return logits.cpu()


def after_prompt(model: Any, tokens: Tensor, first: int) -> Tensor:
    """Logits of the tokens from ``first`` on, the others being read as a prompt."""
    cache = model.new_cache(tokens.shape[0], 96)
    starts = [0] * tokens.shape[0]
    run(model, tokens[:, :first], starts, cache, 0)
    return run(model, tokens[:, first:], [first] * len(starts), cache, tokens.shape[1] - first)


@pytest.mark.parametrize("name", KINDS if INTERPRETED else CASES)
def test_the_logits_are_those_of_the_plain_twin(name: str) -> None:
    tokens = ids(2, 30)
    close(after_prompt(twin(name), tokens, 21), after_prompt(plain(name), tokens, 21))


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("name", ["opt", "llama grouped"])
def test_in_half_types_it_is_no_further_from_the_truth_than_its_twin(name: str, dtype: str) -> None:
    tokens = ids(2, 30)
    true = after_prompt(plain(name), tokens, 21)
    errors = [
        float((after_prompt(model, tokens, 21) - true).square().mean())
        for model in (twin(name, dtype), plain(name, dtype))
    ]
    assert errors[0] < 1.5 * errors[1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["opt", "mistral windowed", "llama grouped"])
def test_a_tokens_bits_are_the_same_alone_in_a_batch_and_with_a_draft(name: str, dtype: str) -> None:
    model, tokens = twin(name, dtype), ids(4, 34)
    lengths, steps = (25, 7, 14, 1), 3 if INTERPRETED else 9
    for row in (0, 1):
        cache = model.new_cache(1, 96)
        run(model, tokens[row : row + 1, : lengths[row]], [0], cache, 0)
        singly = [
            run(model, tokens[row : row + 1, place : place + 1], [place], cache, 1)
            for place in range(lengths[row], lengths[row] + steps)
        ]
        alone = torch.cat(singly, 1)
        cache = model.new_cache(4, 96)
        run(model, tokens[:, :25], [0] * 4, cache, 0)
        block = torch.stack([tokens[other, length : length + steps] for other, length in enumerate(lengths)])
        for _ in range(2):  # the second time over entries that the first one wrote
            together = run(model, block, list(lengths), cache, steps)
            assert together[row].equal(alone[0])


def test_tokens_beyond_the_capacity_disturb_nobody() -> None:
    model, tokens = twin("opt"), ids(2, 20)
    alone, both = model.new_cache(1, 12), model.new_cache(2, 12)
    run(model, tokens[:1, :8], [0], alone, 0)
    run(model, tokens[:, :8], [0, 0], both, 0)
    where = torch.tensor([8, 11], device=DEVICE)
    right = run(model, tokens[:1, 8:11], [8], alone, 3)
    got = model.forward(tokens[:, 8:11].to(DEVICE), where, both, span=12, keep=3)
    assert got[0].cpu().equal(right[0])
    assert not got.isnan().any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tile", [FEW, MANY])
def test_a_rows_product_is_the_same_among_any_rows(dtype: str, tile: int) -> None:
    kind = getattr(torch, dtype)
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(*size, generator=generator).to(kind) for size in ((70, 203), (75, 203), (75,)))
    matrix = Matrix(weight.to(DEVICE), bias.to(DEVICE))
    all_rows = product(x.to(DEVICE), matrix, tile=tile)
    for rows in (1, 2, 5, 16, 17, 69):
        assert product(x[:rows].to(DEVICE), matrix, tile=tile).equal(all_rows[:rows])
        assert product(x[-rows:].to(DEVICE), matrix, tile=tile).equal(all_rows[-rows:])
    right = x.double() @ weight.double().T + bias.double()
    assert float((all_rows.cpu().double() - right).abs().max()) < {"float32": 1e-4}.get(dtype, 0.3)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name])
def test_a_product_ends_with_its_activation_and_its_sum(activation: str) -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, stream = (torch.randn(*size, generator=generator) for size in ((5, 32), (20, 32), (5, 20)))
    matrix = Matrix(weight.to(DEVICE))
    got = product(x.to(DEVICE), matrix, activation=activation, residual=stream.to(DEVICE)).cpu()
    close(got, PLAIN[activation](x @ weight.T) + stream, 1e-4)


@pytest.mark.parametrize("window", [None, 70])
@pytest.mark.parametrize("groups", [1, 3])
def test_stretches_are_joined_to_the_attention_over_all(groups: int, window: int | None) -> None:
    """Queries on both sides of the border of two stretches, over entries that are not numbers one should look at."""
    heads, width, span, batch, steps = 2, 24, 3 * STRETCH, 2, 5
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(batch * steps, heads * groups * width, generator=generator)
    entries = torch.randn(batch, span, 2, heads, width, generator=generator)
    positions = torch.stack([torch.arange(STRETCH - 2, STRETCH + 3), torch.arange(2 * STRETCH - 1, 2 * STRETCH + 4)])
    hidden = torch.arange(span) > positions[:, :, None]
    if window is not None:
        hidden |= torch.arange(span) <= positions[:, :, None] - window
    keys, values = (entries[:, :, side].repeat_interleave(groups, 2).transpose(1, 2) for side in (0, 1))
    q = queries.view(batch, steps, -1, width).transpose(1, 2)
    scores = (q @ keys.transpose(2, 3) * 0.3).masked_fill(hidden[:, None], -torch.inf)
    right = (scores.softmax(-1) @ values).transpose(1, 2).reshape(batch * steps, -1)
    entries[:, 2 * STRETCH + 10 :] = 1e9  # behind every query
    for whole in (False, True):
        arguments = {"groups": groups, "scale": 0.3, "window": window, "cap": None, "whole": whole}
        got = attention(queries.to(DEVICE), entries.to(DEVICE), positions.to(DEVICE), **arguments)
        close(got.cpu(), right, 1e-4)


def test_it_says_what_it_cannot_run() -> None:
    architecture = plain("opt").architecture
    assert why_not(architecture, "float32", DEVICE) is None
    for dtype in ("float64", "int8"):
        assert dtype in str(why_not(architecture, dtype, DEVICE))
