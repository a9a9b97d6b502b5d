"""Decoder-only models behind the adapter, against plain transformers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tiny_transformers import DECODERS, POSITIONS, VOCABULARY, feed, greedy, ids, in_blocks, load, reference, save_tiny
from torch import Tensor

from draftwise.models.adapter import load_adapter
from draftwise.models.protocol import CausalLM

LENGTH = 24  # more than three sliding windows


class Pair(NamedTuple):
    model: CausalLM
    reference: Any
    directory: Path


@pytest.fixture(scope="module", params=DECODERS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    directory = save_tiny(tmp_path_factory.mktemp("adapter"), request.param)
    return Pair(load(directory), reference(directory), directory)


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


@torch.no_grad()
def expected(pair: Pair, tokens: Tensor) -> Tensor:
    logits: Tensor = pair.reference(input_ids=tokens, use_cache=False).logits
    return logits


@pytest.mark.parametrize("size", [LENGTH, 1, 5])
def test_logits_are_those_of_transformers_whatever_the_blocks(pair: Pair, size: int) -> None:
    tokens = ids(1, LENGTH)
    got = in_blocks(pair.model, tokens, pair.model.new_cache(1, LENGTH), size)
    assert got.dtype == torch.float32
    close(got, expected(pair, tokens))


def test_greedy_answers_are_those_of_generate(pair: Pair) -> None:
    prompt = ids(1, 5, seed=1)
    answer = greedy(pair.model, prompt[0].tolist(), pair.model.new_cache(1, 80), 64)
    pair.reference.generation_config.eos_token_id = None
    settings = {"do_sample": False, "max_new_tokens": 64, "pad_token_id": 0}
    want = pair.reference.generate(prompt, attention_mask=torch.ones_like(prompt), **settings)
    assert answer == want[0, 5:].tolist()
    assert len(set(answer)) > 8  # an answer that repeats one token would hide a mix-up


def test_a_rewind_leaves_no_trace(pair: Pair) -> None:
    tokens, junk = ids(1, LENGTH), ids(1, 6, seed=2)
    cache = pair.model.new_cache(1, LENGTH)
    feed(pair.model, tokens[:, :12], [0], cache, keep=0)
    for start in (12, 11, 4, 0):
        feed(pair.model, junk, [start], cache, keep=1)
        feed(pair.model, tokens[:, start : start + 6], [start], cache, keep=1)
    feed(pair.model, tokens[:, 6:20], [6], cache, keep=0)
    close(feed(pair.model, tokens[:, 10:], [10], cache, keep=LENGTH - 10), expected(pair, tokens)[:, 10:])


def test_a_cache_grows_beyond_its_capacity(pair: Pair) -> None:
    tokens = ids(1, LENGTH)
    close(in_blocks(pair.model, tokens, pair.model.new_cache(1, 4), 3), expected(pair, tokens))


def test_ragged_rows_equal_rows_alone(pair: Pair) -> None:
    tokens, lengths = ids(3, 14, seed=3), [9, 2, 6]
    cache = pair.model.new_cache(3, 20)
    feed(pair.model, tokens[:, :8], [0, 0, 0], cache, keep=0)
    got = feed(pair.model, torch.stack([tokens[r, n - 1 : n + 2] for r, n in enumerate(lengths)]), [8, 1, 5], cache, 3)
    for row, length in enumerate(lengths):
        alone = pair.model.new_cache(1, 20)
        feed(pair.model, tokens[row : row + 1, : length - 1], [0], alone, keep=0)
        close(
            got[row], feed(pair.model, tokens[row : row + 1, length - 1 : length + 2], [length - 1], alone, keep=3)[0]
        )
        close(got[row], expected(pair, tokens[row : row + 1, : length + 2])[0, -3:])


def test_rows_beyond_what_they_can_hold_disturb_nobody(pair: Pair) -> None:
    tokens = ids(3, LENGTH, seed=4)
    cache = pair.model.new_cache(3, LENGTH)
    feed(pair.model, tokens[:, :8], [0, 0, 0], cache, keep=0)
    far = min(pair.model.max_positions, 10_000)
    for start in (8, 11):
        got = feed(pair.model, tokens[:, start : start + 3], [far, start, 8 + 2 * start], cache, keep=3)
        assert got.shape == (3, 3, VOCABULARY)
        assert not got[[0, 2]].any()
        close(got[1], expected(pair, tokens[1:2, : start + 3])[0, -3:])
    resumed = feed(pair.model, tokens[:, 8:10], [8, 14, 8], cache, keep=2)
    close(resumed[0], expected(pair, tokens[:1, :10])[0, -2:])
    close(resumed[2], expected(pair, tokens[2:, :10])[0, -2:])


def test_keep_says_how_many_positions_come_back(pair: Pair) -> None:
    cache = pair.model.new_cache(2, LENGTH)
    assert feed(pair.model, ids(2, 6), [0, 0], cache, keep=0).shape == (2, 0, VOCABULARY)
    assert feed(pair.model, ids(2, 6), [3, 6], cache, keep=2).shape == (2, 2, VOCABULARY)


def test_the_context_ends_at_the_last_position(tmp_path: Path) -> None:
    directory = save_tiny(tmp_path, "gpt-bigcode", n_positions=12)
    pair = Pair(load(directory), reference(directory), directory)
    tokens = ids(1, 16)
    cache = pair.model.new_cache(1, 16)
    feed(pair.model, tokens[:, :9], [0], cache, keep=0)
    got = feed(pair.model, tokens[:, 9:14], [9], cache, keep=5)
    close(got[:, :3], expected(pair, tokens[:, :12])[:, 9:])
    assert not got[:, 3:].any()
    assert not feed(pair.model, tokens[:, 12:], [12], cache, keep=2).any()


def test_the_model_says_what_it_is(pair: Pair) -> None:
    model = pair.model
    assert (model.implementation, model.start_token_id, model.vocab_size) == ("transformers", None, VOCABULARY)
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(("name", "limit"), [("bloom", 1 << 30), ("gpt-j", POSITIONS), ("mpt", POSITIONS)])
def test_the_longest_context_is_the_config_s(name: str, limit: int, tmp_path: Path) -> None:
    assert load(save_tiny(tmp_path, name)).max_positions == limit


def test_a_context_ends_where_longrope_would_turn_every_position(tmp_path: Path) -> None:
    factors = {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 32} | factors
    assert load(save_tiny(tmp_path, "mistral windowed", rope_parameters=rope)).max_positions == 32


def test_a_pass_reads_every_weight_but_the_tables_and_the_idle_experts(tmp_path: Path) -> None:
    def stored(name: str, **changes: Any) -> dict[str, int]:
        directory = save_tiny(tmp_path / name, name, **changes)
        return {key: tensor.nbytes for key, tensor in load_file(directory / "model.safetensors").items()}

    def read(name: str) -> int:
        return load(tmp_path / name).bytes_per_pass

    tied = stored("gemma2 windowed", tie_word_embeddings=True)
    assert not any("lm_head" in name for name in tied)
    assert read("gemma2 windowed") == sum(tied.values())
    untied = stored("gpt-j")
    assert read("gpt-j") == sum(size for name, size in untied.items() if "wte" not in name)
    experts = stored("mixtral")
    idle = sum(size for name, size in experts.items() if ".experts." in name) // 2
    assert read("mixtral") == sum(size for name, size in experts.items() if "embed_tokens" not in name) - idle


def test_loading_is_silent_and_leaves_the_settings_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = save_tiny(tmp_path, "gpt-j")
    log = transformers.utils.logging
    capfd.readouterr()
    before = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_info()
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            load(directory)
        assert log.get_verbosity() == log.INFO
    finally:
        log.set_verbosity(before[0])
    assert log.is_progress_bar_enabled() == before[1]
    assert not heard
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("name", ["stablelm", "mixtral"])
def test_logits_are_float32_whatever_is_computed_in(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    directory = save_tiny(tmp_path, name)
    config = {"model_type": name}
    model = load_adapter(directory, config, dtype=dtype, device=torch.device("cpu"), eos_token_ids=(3,))
    assert (model.dtype, model.eos_token_ids) == (dtype, (3,))
    assert feed(model, ids(1, 4), [0], model.new_cache(1, 8), keep=2).dtype == torch.float32
