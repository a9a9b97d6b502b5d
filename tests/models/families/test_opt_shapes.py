"""OPT in every combination of its switches against transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_families import Case, close, ids, save, tiny_config, whole
from transformers import OPTForCausalLM

from draftwise.models.loading import load_model

SHAPES = {
    "gelu_new": {"activation_function": "gelu_new"},
    "silu": {"activation_function": "silu"},
    "one head": {"num_attention_heads": 1},
    "two layers": {"num_hidden_layers": 2},
}


@torch.no_grad()
def agrees_with_transformers(directory: Path) -> None:
    model, tokens = load_model(directory, implementation="own", backend="plain"), ids(3, 20)
    expected = OPTForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()(tokens).logits
    assert expected.std() > 0.5, "logits too flat to tell a wrong pass from a right one"
    close(whole(model, tokens), expected)
    close(whole(model, tokens[:1]), expected[:1])


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_every_combination_equals_transformers(
    tmp_path: Path, before: bool, projected: bool, tied: bool, bias: bool, affine: bool
) -> None:
    settings = {
        "do_layer_norm_before": before,
        "word_embed_proj_dim": 16 if projected else 32,
        "tie_word_embeddings": tied,
        "enable_bias": bias,
        "layer_norm_elementwise_affine": affine,
    }
    agrees_with_transformers(save(Case("OPT", settings), tmp_path))


@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES)
def test_other_shapes_equal_transformers(tmp_path: Path, settings: dict[str, object]) -> None:
    agrees_with_transformers(save(Case("OPT", settings), tmp_path))


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_dtypes_compute_in_them_and_give_float32_logits(tmp_path: Path, dtype: str, before: bool) -> None:
    save(Case("OPT", {"do_layer_norm_before": before}), tmp_path)
    model = load_model(tmp_path, dtype=dtype)
    assert model.dtype == getattr(torch, dtype) and model.new_cache(1, 4).dtype == model.dtype
    expected, got = whole(load_model(tmp_path), ids(2, 20)), whole(model, ids(2, 20))
    assert got.dtype == torch.float32
    close(got, expected, 1e-5 if dtype == "float64" else 0.05)


def test_a_model_answers_what_the_loop_asks_of_it(tmp_path: Path) -> None:
    config = Case("OPT", {"eos_token_id": 2})
    assert tiny_config(config).eos_token_id == 2
    model = load_model(save(config, tmp_path))
    assert (model.vocab_size, model.max_positions, model.eos_token_ids) == (96, 96, (2,))
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)
    assert (model.implementation, model.start_token_id) == ("own", None)
