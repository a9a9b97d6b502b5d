"""Rotary frequencies against those of transformers, at the sizes of published models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from draftwise.models.families import FAMILIES

SCALINGS: dict[str, dict[str, Any]] = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "llama3": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    | {"original_max_position_embeddings": 8192},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
    "yarn without factor": {"rope_type": "yarn", "factor": None, "original_max_position_embeddings": 8192},
    "yarn with scales": {"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": 4096}
    | {"mscale": 1.0, "mscale_all_dim": 0.5, "beta_fast": 24, "beta_slow": 2},
    "longrope": {"rope_type": "longrope", "original_max_position_embeddings": 4096}
    | {"short_factor": [1.0 + 0.1 * i for i in range(64)], "long_factor": [4.0] * 64},
    "longrope with its own factor": {"rope_type": "longrope", "original_max_position_embeddings": 4096}
    | {"factor": 8.0, "short_factor": [1.0] * 64, "long_factor": [4.0] * 64},
}
SIZES = {"hidden_size": 4096, "num_attention_heads": 32, "max_position_embeddings": 131072, "vocab_size": 96}
SIZES |= {"intermediate_size": 64, "num_hidden_layers": 1}


def llama(**rope: Any) -> transformers.LlamaConfig:
    return transformers.LlamaConfig(**SIZES, rope_parameters={"rope_theta": 500000.0} | rope)


@pytest.mark.parametrize("rope", SCALINGS.values(), ids=SCALINGS)
def test_frequencies_equal_those_of_transformers(rope: dict[str, Any]) -> None:
    config = llama(**rope)
    expected, factor = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config)
    rotary = FAMILIES["llama"].architecture(config.to_dict()).layers[0].rotary
    assert rotary is not None
    got = rotary.scaling.frequencies(rotary.width, rotary.theta, torch.arange(3.0))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=0)
    assert rotary.scaling.attention_factor == pytest.approx(factor)


def test_dynamic_frequencies_are_those_of_the_context_that_ends_there() -> None:
    config = llama(rope_type="dynamic", factor=3.0)
    rotary = FAMILIES["llama"].architecture(config.to_dict()).layers[0].rotary
    assert rotary is not None
    positions = (0, 131071, 131072, 200_000, 393_215)
    got = rotary.scaling.frequencies(rotary.width, rotary.theta, torch.tensor(positions, dtype=torch.float32))
    for row, position in zip(got, positions, strict=True):
        expected, _ = ROPE_INIT_FUNCTIONS["dynamic"](config, seq_len=position + 1)
        torch.testing.assert_close(row, expected, rtol=1e-4, atol=0)


def test_a_table_turns_as_transformers_does() -> None:
    rotary = FAMILIES["llama"].architecture(llama().to_dict()).layers[0].rotary
    assert rotary is not None
    module = transformers.models.llama.modeling_llama
    x, positions = torch.randn(1, 2, 300, 128, generator=torch.Generator().manual_seed(0)), torch.arange(300)
    cosines, sines = module.LlamaRotaryEmbedding(llama())(x, positions[None])
    expected, _ = module.apply_rotary_pos_emb(x, x, cosines, sines)
    ours, theirs = rotary.table(300).chunk(2, -1)
    torch.testing.assert_close(x * ours + x.roll(64, -1) * theirs, expected, atol=1e-5, rtol=0)


def test_a_longer_table_begins_as_a_shorter_one() -> None:
    rotary = FAMILIES["llama"].architecture(llama(rope_type="dynamic", factor=3.0).to_dict()).layers[0].rotary
    assert rotary is not None
    assert torch.equal(rotary.table(777)[:50], rotary.table(50))
