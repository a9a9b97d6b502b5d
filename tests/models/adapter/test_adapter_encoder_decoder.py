"""Encoder–decoder models behind the adapter, against plain transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from tiny_transformers import (
    ENCODER_DECODERS,
    POSITIONS,
    VOCABULARY,
    feed,
    greedy,
    ids,
    in_blocks,
    load_encoder_decoder,
    reference,
    save_tiny,
)
from torch import Tensor

from draftwise.models.protocol import Cache, EncoderDecoderLM

SOURCES = [[5, 9, 33, 7, 12, 40, 8, 21, 30], [17], [50, 6, 6, 19]]


class Pair(NamedTuple):
    model: EncoderDecoderLM
    reference: Any


@pytest.fixture(scope="module", params=ENCODER_DECODERS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    directory = save_tiny(tmp_path_factory.mktemp("adapter"), request.param)
    return Pair(load_encoder_decoder(directory), reference(directory))


def read(model: EncoderDecoderLM, sources: list[list[int]]) -> Cache:
    cache = model.new_cache(len(sources), 80)
    model.read_sources(sources, cache)
    return cache


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


@torch.no_grad()
def expected(pair: Pair, source: list[int], tokens: Tensor) -> Tensor:
    logits: Tensor = pair.reference(input_ids=torch.tensor([source]), decoder_input_ids=tokens, use_cache=False).logits
    return logits


@pytest.mark.parametrize("size", [20, 1, 6])
def test_logits_are_those_of_transformers_whatever_the_blocks(pair: Pair, size: int) -> None:
    tokens = ids(1, 20)
    close(in_blocks(pair.model, tokens, read(pair.model, SOURCES[:1]), size), expected(pair, SOURCES[0], tokens))


def test_greedy_answers_are_those_of_generate(pair: Pair) -> None:
    start = pair.model.start_token_id
    assert start is not None
    settings = {"do_sample": False, "max_new_tokens": 64, "eos_token_id": None, "pad_token_id": 0}
    seen = set()
    for source in SOURCES:
        answer = greedy(pair.model, [start], read(pair.model, [source]), 64)
        prompt = torch.tensor([source])
        want = pair.reference.generate(prompt, attention_mask=torch.ones_like(prompt), **settings)[0].tolist()
        assert [start, *answer] == want
        seen |= set(answer)
    assert len(seen) > 8  # answers that repeat one token would hide a mix-up


@pytest.mark.parametrize("settings", [{"forced_bos_token_id": 7}, {"bad_words_ids": [[31], [44], [3, 4]]}])
@pytest.mark.parametrize("where", ["generation_config.json", "config.json"])
def test_ids_that_the_checkpoint_forces_or_bans_are_forced_or_banned(
    where: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    directory = save_tiny(tmp_path, "bart")
    plain = load_encoder_decoder(directory)
    if where == "config.json":
        (directory / "generation_config.json").unlink()
    path = directory / where
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    model, kind = load_encoder_decoder(directory), reference(directory)
    answer = greedy(model, [2], read(model, SOURCES[:1]), 30)
    prompt = torch.tensor(SOURCES[:1])
    given = {"attention_mask": torch.ones_like(prompt), "do_sample": False, "max_new_tokens": 30, "eos_token_id": None}
    assert answer == kind.generate(prompt, **given)[0, 1:].tolist()
    assert answer != greedy(plain, [2], read(plain, SOURCES[:1]), 30)


def test_answers_depend_on_the_prompt(pair: Pair) -> None:
    tokens = ids(1, 3)
    first, second = (feed(pair.model, tokens, [0], read(pair.model, [source]), keep=3) for source in SOURCES[:2])
    assert (first - second).abs().max() > 0.1


def test_a_rewind_leaves_no_trace(pair: Pair) -> None:
    tokens, junk = ids(1, 20), ids(1, 6, seed=2)
    cache = read(pair.model, SOURCES[:1])
    feed(pair.model, tokens[:, :12], [0], cache, keep=0)
    for start in (12, 11, 4, 0):
        feed(pair.model, junk, [start], cache, keep=1)
        feed(pair.model, tokens[:, start : start + 6], [start], cache, keep=1)
    close(feed(pair.model, tokens[:, 6:], [6], cache, keep=14), expected(pair, SOURCES[0], tokens)[:, 6:])


def test_ragged_rows_equal_rows_alone(pair: Pair) -> None:
    tokens, lengths = ids(3, 14, seed=3), [9, 2, 6]
    cache = read(pair.model, SOURCES)
    feed(pair.model, tokens[:, :8], [0, 0, 0], cache, keep=0)
    got = feed(pair.model, torch.stack([tokens[r, n - 1 : n + 2] for r, n in enumerate(lengths)]), [8, 1, 5], cache, 3)
    for row, (source, length) in enumerate(zip(SOURCES, lengths, strict=True)):
        close(got[row], expected(pair, source, tokens[row : row + 1, : length + 2])[0, -3:])


@pytest.mark.parametrize(("encoder", "decoder"), [(1, 3), (3, 1)])
def test_encoder_and_decoder_may_differ_in_depth(encoder: int, decoder: int, tmp_path: Path) -> None:
    directory = save_tiny(tmp_path, "t5 plain tied", num_layers=encoder, num_decoder_layers=decoder)
    pair, tokens = Pair(load_encoder_decoder(directory), reference(directory)), ids(1, 9)
    close(in_blocks(pair.model, tokens, read(pair.model, SOURCES[:1]), 2), expected(pair, SOURCES[0], tokens))


def test_rows_beyond_what_they_can_hold_disturb_nobody(pair: Pair) -> None:
    tokens = ids(3, 12, seed=4)
    cache = read(pair.model, SOURCES)
    feed(pair.model, tokens[:, :8], [0, 0, 0], cache, keep=0)
    got = feed(pair.model, tokens[:, 8:10], [100, 8, 30], cache, keep=2)
    assert not got[[0, 2]].any()
    close(got[1], expected(pair, SOURCES[1], tokens[1:2, :10])[0, -2:])
    resumed = feed(pair.model, tokens[:, 8:10], [8, 10, 8], cache, keep=2)
    close(resumed[0], expected(pair, SOURCES[0], tokens[:1, :10])[0, -2:])


def test_positions_are_limited_only_where_they_are_learned(tmp_path: Path) -> None:
    bart = load_encoder_decoder(save_tiny(tmp_path / "bart", "bart"))
    assert (bart.max_positions, bart.max_source_tokens) == (POSITIONS, POSITIONS)
    t5 = load_encoder_decoder(save_tiny(tmp_path / "t5", "t5 plain tied", n_positions=512))
    assert (t5.max_positions, t5.max_source_tokens) == (1 << 30, 1 << 30)


def test_the_start_is_that_of_generation_config_before_config(tmp_path: Path) -> None:
    directory = save_tiny(tmp_path, "t5 plain tied")
    assert load_encoder_decoder(directory).start_token_id == 0
    (directory / "generation_config.json").write_text('{"decoder_start_token_id": 5}')
    assert load_encoder_decoder(directory).start_token_id == 5
    (directory / "generation_config.json").write_text('{"bos_token_id": 6}')
    assert load_encoder_decoder(directory).start_token_id == 0


@pytest.mark.parametrize("name", ["t5 plain tied", "t5 gated untied", "bart"])
def test_a_pass_reads_the_decoder_without_what_only_the_first_one_needs(name: str, tmp_path: Path) -> None:
    directory = save_tiny(tmp_path, name)
    model = load_encoder_decoder(directory)
    once = (
        "EncDecAttention.k",
        "EncDecAttention.v",
        "encoder_attn.k_proj",
        "encoder_attn.v_proj",
        "embed",
        "bias.weight",
    )
    weights = {key: tensor.nbytes for key, tensor in load_file(directory / "model.safetensors").items()}
    read_each_time = [
        size for key, size in weights.items() if "decoder." in key and not any(part in key for part in once)
    ]
    norm = 2 * 32 * 4 if name == "bart" else 0  # of the embeddings
    assert model.bytes_per_pass == sum(read_each_time) + norm + VOCABULARY * 32 * 4
