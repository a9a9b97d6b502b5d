"""OPT against transformers, and the promises of its cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_opt import reference, save_tiny_opt
from torch import Tensor

from draftwise.models.loading import load_model
from draftwise.models.protocol import CausalLM

TOLERANCE = 1e-4
LENGTH = 20
SHAPES = {
    "plain": {},
    "post-norm": {"do_layer_norm_before": False},
    "projected": {"word_embed_proj_dim": 16},
    "no final norm": {"_remove_final_layer_norm": True},
    "gelu": {"activation_function": "gelu"},
    "gelu_new": {"activation_function": "gelu_new"},
    "silu": {"activation_function": "silu"},
    "one head": {"heads": 1},
    "four heads": {"heads": 4},
}


def ids(batch: int, length: int = LENGTH, seed: int = 0) -> Tensor:
    return torch.randint(0, 64, (batch, length), generator=torch.Generator().manual_seed(seed))


def at(*starts: int) -> Tensor:
    return torch.tensor(starts)


def whole(model: CausalLM, tokens: Tensor, capacity: int = 64) -> Tensor:
    """Logits of every position, from a fresh cache in one pass."""
    batch, length = tokens.shape
    cache = model.new_cache(batch, capacity)
    return model.forward(tokens, torch.zeros(batch, dtype=torch.int64), cache, span=length, keep=length)


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=TOLERANCE, rtol=0)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_opt(tmp_path_factory.mktemp("opt"))


@pytest.fixture(scope="module")
def model(directory: Path) -> CausalLM:
    return load_model(directory)


@torch.no_grad()
def agrees_with_transformers(directory: Path) -> None:
    model, tokens = load_model(directory), ids(3)
    expected = reference(directory)(tokens).logits
    assert expected.std() > 0.5, "logits too flat to tell a wrong pass from a right one"
    close(whole(model, tokens), expected)
    close(whole(model, tokens[:1]), expected[:1])


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_logits_equal_those_of_transformers(
    tmp_path: Path, before: bool, projected: bool, tied: bool, bias: bool, affine: bool
) -> None:
    save_tiny_opt(
        tmp_path,
        do_layer_norm_before=before,
        word_embed_proj_dim=16 if projected else 32,
        tie_word_embeddings=tied,
        enable_bias=bias,
        layer_norm_elementwise_affine=affine,
        tokenizer=False,
    )
    agrees_with_transformers(tmp_path)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_other_shapes_equal_those_of_transformers(tmp_path: Path, shape: dict[str, object]) -> None:
    agrees_with_transformers(save_tiny_opt(tmp_path, **shape))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["plain", "post-norm", "projected"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_greedy_tokens_equal_those_of_transformers_generate(tmp_path: Path, name: str, dtype: str) -> None:
    save_tiny_opt(tmp_path, **SHAPES[name])  # type: ignore[arg-type]
    model, prompt, new = load_model(tmp_path, dtype=dtype), ids(1, 6, seed=3), 40
    theirs = reference(tmp_path).to(getattr(torch, dtype))
    expected = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new, eos_token_id=None)
    assert len(set(expected[0, 6:].tolist())) > 3, "an answer too plain to tell a wrong pass from a right one"
    tokens, cache = prompt, model.new_cache(1, 64)
    logits = model.forward(prompt, at(0), cache, span=6, keep=1)
    for length in range(6, 6 + new):
        tokens = torch.cat([tokens, logits[:, -1:].argmax(-1)], dim=1)
        logits = model.forward(tokens[:, -1:], at(length), cache, span=length + 1, keep=1)
    assert torch.equal(tokens, expected)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_a_prompt_fed_in_chunks_equals_one_pass(model: CausalLM, batch: int, chunk: int) -> None:
    tokens = ids(batch)
    cache, pieces = model.new_cache(batch, 64), []
    for start in range(0, LENGTH, chunk):
        piece = tokens[:, start : start + chunk]
        starts = torch.full((batch,), start)
        pieces.append(model.forward(piece, starts, cache, span=start + piece.shape[1], keep=piece.shape[1]))
    close(torch.cat(pieces, dim=1), whole(model, tokens))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("kept", [1, 5, 19])
@pytest.mark.parametrize("width", [1, 4])
def test_a_rejected_tail_leaves_no_trace_in_the_cache(model: CausalLM, batch: int, kept: int, width: int) -> None:
    tokens, garbage = ids(batch, 30), ids(batch, 40, seed=9)
    cache = model.new_cache(batch, 64)
    zero = torch.zeros(batch, dtype=torch.int64)
    model.forward(tokens[:, :kept], zero, cache, span=kept, keep=0)
    model.forward(garbage, zero + kept, cache, span=kept + 40, keep=1)
    with torch.inference_mode():
        cache[:, :, kept + width :] = 1e4
    for span in (kept + width, 64):
        again = model.forward(tokens[:, kept : kept + width], zero + kept, cache, span=span, keep=width)
        close(again, whole(model, tokens[:, : kept + width])[:, kept:])


def test_ragged_rows_equal_the_rows_alone(model: CausalLM) -> None:
    lengths, tokens = (3, 17, 9, 1), ids(4)
    cache = model.new_cache(4, 40)
    model.forward(tokens[:, :17], at(0, 0, 0, 0), cache, span=17, keep=0)  # the short rows' tails are garbage
    step = ids(4, 3, seed=5)
    logits = model.forward(step, at(*lengths), cache, span=20, keep=3)
    for row, length in enumerate(lengths):
        alone = torch.cat([tokens[row : row + 1, :length], step[row : row + 1]], dim=1)
        close(logits[row : row + 1], whole(model, alone)[:, length:])


def test_a_row_is_the_same_to_the_last_bit_whatever_its_neighbours_hold(model: CausalLM) -> None:
    tokens, other = ids(3), ids(3, seed=8)
    other[1] = tokens[1]
    assert torch.equal(whole(model, tokens)[1], whole(model, other)[1])


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("capacity", [64, 80], ids=["within the context", "beyond the context"])
def test_positions_past_the_end_change_nothing_that_counts(model: CausalLM, batch: int, capacity: int) -> None:
    tokens, padding = ids(batch, 64), ids(batch, 5, seed=2)
    cache = model.new_cache(batch, capacity)
    zero = torch.zeros(batch, dtype=torch.int64)
    model.forward(tokens[:, :62], zero, cache, span=62, keep=0)
    over = torch.cat([tokens[:, 62:], padding], dim=1)  # two that count, five past the end of the context
    logits = model.forward(over, zero + 62, cache, span=min(69, capacity), keep=7)
    assert logits.isfinite().all()
    close(logits[:, :2], whole(model, tokens)[:, 62:])
    model.forward(padding, zero + 500, cache, span=capacity, keep=5)
    close(model.forward(tokens[:, 63:], zero + 63, cache, span=64, keep=1), whole(model, tokens)[:, 63:])


def test_a_full_row_survives_a_neighbour_far_past_the_end(model: CausalLM) -> None:
    tokens = ids(2, 64)
    cache = model.new_cache(2, 64)
    model.forward(tokens, at(0, 0), cache, span=64, keep=0)
    model.forward(ids(2, 3, seed=2), at(70, 64), cache, span=64, keep=3)
    close(model.forward(tokens[:, 63:], at(63, 63), cache, span=64, keep=1), whole(model, tokens)[:, 63:])


@pytest.mark.parametrize("batch", [1, 2])
def test_keep_says_how_many_positions_get_logits(model: CausalLM, batch: int) -> None:
    tokens = ids(batch)
    zero = torch.zeros(batch, dtype=torch.int64)
    every = whole(model, tokens)
    for keep in (0, 1, 4):
        some = model.forward(tokens, zero, model.new_cache(batch, 64), span=LENGTH, keep=keep)
        assert some.shape == (batch, keep, model.vocab_size)
        close(some, every[:, LENGTH - keep :])


@pytest.mark.parametrize("name", ["plain", "post-norm", "projected"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_every_dtype_computes_in_it_and_gives_float32_logits(tmp_path: Path, dtype: str, name: str) -> None:
    model = load_model(save_tiny_opt(tmp_path, init_std=0.1, **SHAPES[name]), dtype=dtype)  # type: ignore[arg-type]
    assert model.dtype == getattr(torch, dtype) and model.new_cache(1, 4).dtype == model.dtype
    expected = whole(load_model(tmp_path), ids(2))
    got = whole(model, ids(2))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected, atol=1e-5 if dtype == "float64" else 0.03 * expected.std() + 0.05, rtol=0)


def test_a_pass_leaves_its_arguments_alone(model: CausalLM) -> None:
    tokens, starts = ids(1), at(0)
    model.forward(tokens, starts, model.new_cache(1, 64), span=LENGTH, keep=1)
    assert torch.equal(tokens, ids(1)) and torch.equal(starts, at(0))


def test_a_model_answers_what_the_loop_asks_of_it(model: CausalLM) -> None:
    assert (model.vocab_size, model.max_positions, model.eos_token_ids) == (64, 64, (2,))
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_cuda_device_gives_the_same_logits(directory: Path, dtype: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    on_cpu, on_cuda = load_model(directory, dtype=dtype), load_model(directory, dtype=dtype, device="cuda")
    cache = on_cuda.new_cache(3, 64)
    logits = on_cuda.forward(ids(3).cuda(), at(0, 0, 0).cuda(), cache, span=LENGTH, keep=LENGTH)
    torch.testing.assert_close(logits.cpu(), whole(on_cpu, ids(3)), atol=1e-3 if dtype == "float32" else 0.5, rtol=0)


@pytest.mark.parametrize("tied", [True, False])
def test_bytes_per_pass_leaves_out_only_the_tables_that_are_looked_up(tmp_path: Path, tied: bool) -> None:
    save_tiny_opt(tmp_path, tie_word_embeddings=tied)
    inner = reference(tmp_path)
    looked_up = inner.model.decoder.embed_positions.weight.nbytes
    looked_up += 0 if tied else inner.model.decoder.embed_tokens.weight.nbytes
    expected = sum(parameter.nbytes for parameter in inner.parameters()) - looked_up
    assert load_model(tmp_path).bytes_per_pass == expected
