"""The packed pass: its plain twin's logits, and the same bits alone, in a batch, with a draft and after a rewind."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from tiny_families import CASES, POSITIONS, at, close, directory, ids, own, whole
from torch import Tensor

from draftwise.builtin import target_directory
from draftwise.models.backends.packed.transformer import PackedTransformer, keeps_bits
from draftwise.models.loading import load_model

DTYPES = ("float32", "bfloat16")
KINDS = ("opt", "opt 350m", "gpt2", "gpt-neox", "llama grouped", "mistral windowed", "qwen3", "gemma2", "gemma3 text")
LENGTHS = (61, 7, 30, 1)
"""Tokens of four rows' prompts; the first ends short of a block of the cache, and its answer in the next one."""
STEPS = 9


@cache
def packed(name: str, dtype: str = "float32") -> Any:
    model = load_model(directory(name), dtype=dtype, backend="packed")
    assert isinstance(model, PackedTransformer)
    return model


def error(logits: Tensor, true: Tensor) -> float:
    return float((logits - true).square().mean())


@pytest.mark.parametrize("name", CASES)
def test_the_logits_are_those_of_the_plain_twin(name: str) -> None:
    tokens = ids(2, 70)
    true = whole(own(name), tokens)
    close(whole(packed(name), tokens), true)
    plain = whole(load_model(directory(name), dtype="bfloat16", backend="plain"), tokens)
    assert error(whole(packed(name, "bfloat16"), tokens), true) < 2 * error(plain, true)


def filled(model: Any, tokens: Tensor, lengths: tuple[int, ...], capacity: int) -> Tensor:
    """A cache with each row's prompt but for its last token, filled for the longest row, as decoding does it."""
    cache = model.new_cache(len(lengths), capacity)
    count = max(lengths) - 1
    if count:
        model.forward(tokens[:, :count], at(*[0] * len(lengths)), cache, span=count, keep=0)
    return cache


@cache
def alone(name: str, dtype: str) -> tuple[Tensor, ...]:
    """Each row's logits [STEPS, V] by plain decoding: alone, and token by token."""
    model, tokens = packed(name, dtype), ids(4, max(LENGTHS) + STEPS)
    answers = []
    for row, length in enumerate(LENGTHS):
        cache = filled(model, tokens[row : row + 1], (length,), length + STEPS)
        places = range(length - 1, length - 1 + STEPS)
        steps = [
            model.forward(tokens[row : row + 1, place : place + 1], at(place), cache, span=place + 1, keep=1)
            for place in places
        ]
        answers.append(torch.cat(steps, 1)[0])
    return tuple(answers)


every_kind = pytest.mark.parametrize("name", KINDS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@every_kind
@every_dtype
def test_a_draft_of_any_length_changes_no_bit(name: str, dtype: str) -> None:
    """Each pass is taken twice, at first with another draft: what it leaves behind is out of sight."""
    model, tokens = packed(name, dtype), ids(4, max(LENGTHS) + STEPS)
    for row in (0, 2):
        length, line = LENGTHS[row], tokens[row : row + 1]
        for width in range(2, STEPS):
            cache = filled(model, line, (length,), POSITIONS)
            for step in range(0, STEPS - width + 1, width - 1):
                place = length - 1 + step
                block, span = line[:, place : place + width], place + width
                wrong = torch.cat([block[:, :1], (block[:, 1:] + 3) % model.vocab_size], 1)
                model.forward(wrong, at(place), cache, span=span, keep=width)
                logits = model.forward(block, at(place), cache, span=span, keep=width)
                assert torch.equal(logits[0], alone(name, dtype)[row][step : step + width]), (row, width, step)


@every_kind
@every_dtype
def test_neighbours_change_no_bit(name: str, dtype: str) -> None:
    """Four ragged rows that move on at their own pace, in passes of every width."""
    model, tokens = packed(name, dtype), ids(4, max(LENGTHS) + STEPS)
    for width in (1, 2, 5, 8):
        cache = filled(model, tokens, LENGTHS, POSITIONS + 40)
        steps = [0, 0, 0, 0]
        while max(steps) + width <= STEPS:
            places = [length - 1 + step for length, step in zip(LENGTHS, steps, strict=True)]
            block = torch.stack([tokens[row, place : place + width] for row, place in enumerate(places)])
            logits = model.forward(block, at(*places), cache, span=max(places) + width, keep=width)
            for row, step in enumerate(steps):
                assert torch.equal(logits[row], alone(name, dtype)[row][step : step + width]), (row, width, step)
            steps = [step + 1 + row % width for row, step in enumerate(steps)]


@every_dtype
@pytest.mark.parametrize("threads", [1, 2])
def test_the_built_in_target_says_that_it_is_exact_and_is(dtype: str, threads: int) -> None:
    torch.set_num_threads(threads)
    model: Any = load_model(target_directory(), dtype=dtype, backend="packed")
    assert model.backend.exact and model.backend.name == "packed" and "oneDNN" in model.backend.instructions
    tokens = torch.randint(0, model.vocab_size, (1, 140), generator=torch.Generator().manual_seed(3))
    one, many = (filled(model, tokens, (125,), 200) for _ in range(2))
    singly = [
        model.forward(tokens[:, place : place + 1], at(place), one, span=place + 1, keep=1) for place in range(124, 132)
    ]
    together = model.forward(tokens[:, 124:132], at(124), many, span=132, keep=8)
    assert torch.equal(together, torch.cat(singly, 1))


@pytest.mark.parametrize("name", ["opt", "llama grouped", "mistral windowed", "gemma2"])
def test_what_lies_behind_a_rewind_leaves_no_trace(name: str) -> None:
    model, tokens = packed(name), ids(2, 70)
    clean, stale = (filled(model, tokens, (41, 41), 80) for _ in range(2))
    with torch.inference_mode():
        stale[:, 40:] = 1e4
    first, second = (model.forward(tokens[:, 40:44], at(40, 40), it, span=70, keep=4) for it in (clean, stale))
    assert torch.equal(first, second)


def test_rows_past_the_end_disturb_nobody() -> None:
    model, tokens = packed("opt"), ids(2, POSITIONS)
    cache = filled(model, tokens, (POSITIONS, POSITIONS), POSITIONS)
    expected = model.forward(tokens[:, -1:], at(POSITIONS - 1, POSITIONS - 1), cache, span=POSITIONS, keep=1)
    for starts in (at(500, POSITIONS - 1), at(POSITIONS - 1, 70_000)):
        assert model.forward(ids(2, 5), starts, cache, span=POSITIONS, keep=5).isfinite().all()
    again = model.forward(tokens[:, -1:], at(POSITIONS - 1, POSITIONS - 1), cache, span=POSITIONS, keep=1)
    assert torch.equal(again, expected)


def test_a_machine_that_does_not_keep_bits_is_found_out() -> None:
    model: Any = load_model(directory("opt"), backend="packed")
    assert keeps_bits(model)
    activation = model._activation
    model._activation = lambda x: activation(x) * (1 + len(x) * 2**-20)
    assert not keeps_bits(model)
