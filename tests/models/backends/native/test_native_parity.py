"""The native pass against its plain twin, in every family; and its promise that a row's bits are its own."""

from __future__ import annotations

import os
import signal
import time
from functools import cache
from pathlib import Path
from threading import Thread

import psutil
import pytest
import torch
from tiny_families import CASES, POSITIONS, Case, at, close, directory, ids, own, save, whole
from torch import Tensor

from draftwise.models.loading import ModelSpec, load_model, open_model
from draftwise.models.protocol import CausalLM

pytestmark = pytest.mark.usefixtures("native")

LENGTH = 40
DTYPES = ("float32", "bfloat16", "int8")

every_case = pytest.mark.parametrize("name", CASES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@cache
def model_of(name: str, dtype: str, backend: str = "native") -> CausalLM:
    return open_model(ModelSpec(str(directory(name)), dtype=dtype, backend=backend)).load()


def error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().mean() / expected.std())


@every_case
def test_float32_logits_equal_those_of_the_plain_twin(name: str) -> None:
    model, tokens = model_of(name, "float32"), ids(3, LENGTH)
    assert model.backend.name == "native" and model.backend.exact
    close(whole(model, tokens), whole(own(name), tokens))


@every_case
def test_bfloat16_is_as_near_to_float32_as_the_plain_twin(name: str) -> None:
    tokens = ids(3, LENGTH)
    true = whole(own(name), tokens)
    ours, plain = (error(whole(model_of(name, "bfloat16", kind), tokens), true) for kind in ("native", "plain"))
    assert 0 < ours < 1.5 * plain


@every_case
def test_int8_differs_from_its_plain_twin_as_bfloat16_from_float32(name: str) -> None:
    tokens = ids(3, LENGTH)
    ours = error(whole(model_of(name, "int8"), tokens), whole(model_of(name, "int8", "plain"), tokens))
    rounding = error(whole(model_of(name, "bfloat16"), tokens), whole(own(name), tokens))
    assert 0 < ours < 2 * rounding


def test_gates_that_fill_no_whole_panel(tmp_path: Path) -> None:
    place = save(Case("Llama", {"intermediate_size": 40}), tmp_path / "model")
    ours, plain = (open_model(ModelSpec(str(place), backend=kind)).load() for kind in ("native", "plain"))
    close(whole(ours, ids(2, LENGTH)), whole(plain, ids(2, LENGTH)))


@every_dtype
@pytest.mark.parametrize("name", ["opt", "mistral windowed", "gemma2", "phi3 partial", "gpt-neox"])
def test_a_token_has_the_same_bits_whatever_shares_its_pass(name: str, dtype: str) -> None:
    model, tokens = model_of(name, dtype), ids(4, LENGTH)
    expected = whole(model, tokens)
    for width in (1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 33):
        assert torch.equal(in_pieces(model, tokens, width), expected), width
    for row in range(4):
        assert torch.equal(whole(model, tokens[row : row + 1])[0], expected[row])
        assert torch.equal(in_pieces(model, tokens[row : row + 1], 5)[0], expected[row])


def in_pieces(model: CausalLM, tokens: Tensor, width: int) -> Tensor:
    cache, pieces = model.new_cache(len(tokens), POSITIONS), []
    for start in range(0, LENGTH, width):
        piece = tokens[:, start : start + width]
        stop = start + piece.shape[1]
        pieces.append(model.forward(piece, at(*[start] * len(tokens)), cache, span=stop, keep=piece.shape[1]))
    return torch.cat(pieces, 1)


@every_dtype
def test_ragged_rows_after_rewinds_have_the_bits_of_rows_alone(dtype: str) -> None:
    """Rows at places of their own, with rejected tails and tokens beyond the capacity behind them."""
    model, tokens, garbage = model_of("qwen3 windowed", dtype), ids(3, LENGTH), ids(3, 24, seed=9)
    expected, capacity = whole(model, tokens), LENGTH + 2
    cache = model.new_cache(3, capacity)
    model.forward(tokens[:, :30], at(0, 0, 0), cache, span=30, keep=0)
    kept = (30, 21, 13)
    model.forward(garbage, at(*kept), cache, span=capacity, keep=1)
    for step in range(2):
        starts = [start + 5 * step for start in kept]
        piece = torch.stack([row[start : start + 5] for row, start in zip(tokens, starts, strict=True)])
        logits = model.forward(piece, at(*starts), cache, span=capacity, keep=5)
        for row, start in enumerate(starts):
            assert torch.equal(logits[row], expected[row, start : start + 5])


@every_dtype
def test_the_number_of_threads_changes_no_bit(dtype: str) -> None:
    model, tokens, threads = model_of("llama", dtype), ids(2, LENGTH), torch.get_num_threads()
    model.bytes_per_pass *= 10**6  # so that several threads pass at all
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(whole(model, tokens))
    finally:
        torch.set_num_threads(threads)
        model.bytes_per_pass //= 10**6
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_callers_on_several_threads_do_not_meet() -> None:
    model, rows = model_of("llama", "float32"), [ids(2, LENGTH, seed=seed) for seed in range(4)]
    expected = [whole(model, row) for row in rows]
    wrong: list[int] = []

    def work(index: int) -> None:
        wrong.extend(index for _ in range(30) if not torch.equal(whole(model, rows[index]), expected[index]))

    threads = [Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_passes_on_threads_of_its_own() -> None:
    model, tokens, threads = model_of("llama", "float32"), ids(2, LENGTH), torch.get_num_threads()
    model.bytes_per_pass *= 10**6
    torch.set_num_threads(2)
    try:
        expected = whole(model, tokens)
        cache = model.new_cache(2, POSITIONS)  # before the fork, which torch's own threads don't survive
        time.sleep(0.1)  # until the helper sleeps
        child = os.fork()
        if child == 0:
            logits = model.forward(tokens, at(0, 0), cache, span=LENGTH, keep=LENGTH)
            os._exit(0 if (logits.numpy() == expected.numpy()).all() else 1)
        end = time.monotonic() + 20
        while not (done := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.01)
        assert done[1] == 0
    finally:
        torch.set_num_threads(threads)
        model.bytes_per_pass //= 10**6


def test_a_model_gives_its_memory_back() -> None:
    process, place = psutil.Process(os.getpid()), directory("opt")
    load_model(place, backend="native")
    sizes = []
    for _ in range(3):
        for _ in range(20):
            model = load_model(place, backend="native")
            whole(model, ids(8, 90))
        sizes.append(process.memory_info().rss)
    assert sizes[2] - sizes[1] < 8 << 20
