"""What the adapter refuses, each in one line that says why."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_transformers import VOCABULARY, load, save_tiny
from torch import Tensor

from draftwise.errors import DraftwiseError

HYBRID = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2}
UNREWINDABLE = ["Mamba", "Mamba2", "FalconMamba", "Rwkv", "RecurrentGemma", "Jamba", "Zamba", "Bamba", "Qwen3Next"]


def refusal(directory: Path) -> str:
    with pytest.raises(DraftwiseError) as caught:
        load(directory)
    text = str(caught.value)
    assert "\n" not in text
    return text


def describe(directory: Path, **config: Any) -> Path:
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def change_config(directory: Path, **changes: Any) -> Path:
    return describe(directory, **(json.loads((directory / "config.json").read_text()) | changes))


def change_weights(directory: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    path = directory / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize("kind", UNREWINDABLE)
def test_a_recurrent_model_is_refused_before_its_weights_are_read(kind: str, tmp_path: Path) -> None:
    getattr(transformers, f"{kind}Config")().save_pretrained(tmp_path)  # there are no weights to read
    assert "can't be rewound: it folds the text into a recurrent state" in refusal(tmp_path)


def test_layers_that_keep_a_running_state_are_refused(tmp_path: Path) -> None:
    transformers.Lfm2Config(**HYBRID, layer_types=["conv", "full_attention"] * 2).save_pretrained(tmp_path)
    assert "can't be rewound: it has layers of type 'conv'" in refusal(tmp_path)


@pytest.mark.parametrize(("kind", "reason"), [("XLNet", "a cache of its own"), ("OpenAIGPT", "no keys and values")])
def test_models_without_a_cache_that_can_be_cut_are_refused(kind: str, reason: str, tmp_path: Path) -> None:
    getattr(transformers, f"{kind}Config")().save_pretrained(tmp_path)
    assert reason in refusal(tmp_path)


def test_a_hybrid_class_with_attention_layers_alone_is_taken(tmp_path: Path) -> None:
    shape = HYBRID | {"vocab_size": VOCABULARY, "intermediate_size": 48, "shared_intermediate_size": 16}
    shape |= {"mamba_n_heads": 4, "mamba_d_head": 16, "num_local_experts": 2, "num_experts_per_tok": 1}
    config = transformers.GraniteMoeHybridConfig(**shape, layer_types=["full_attention"] * 4)
    transformers.GraniteMoeHybridForCausalLM(config).save_pretrained(tmp_path)
    assert load(tmp_path).vocab_size == VOCABULARY


def test_a_model_that_looks_ahead_is_refused(tmp_path: Path) -> None:
    small = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(**small, intermediate_size=32)
    transformers.BertLMHeadModel(config).save_pretrained(tmp_path)
    assert "lets a token see those after it" in refusal(tmp_path)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    save_tiny(tmp_path, "stablelm")
    change_weights(tmp_path, lambda weights: weights.pop("model.layers.1.mlp.up_proj.weight"))
    assert "no 'model.layers.1.mlp.up_proj.weight' in the weights of" in refusal(tmp_path)


def test_a_tensor_too_many_is_named(tmp_path: Path) -> None:
    save_tiny(tmp_path, "stablelm")
    change_weights(tmp_path, lambda weights: weights.update({"model.layers.2.mlp.up_proj.weight": torch.ones(48, 32)}))
    assert "'model.layers.2.mlp.up_proj.weight'" in (text := refusal(tmp_path))
    assert "has no place in the model" in text


def test_a_wrong_shape_is_named(tmp_path: Path) -> None:
    save_tiny(tmp_path, "stablelm")
    change_weights(tmp_path, lambda weights: weights.update({"model.layers.0.mlp.up_proj.weight": torch.ones(7, 32)}))
    text = refusal(tmp_path)
    assert "'model.layers.0.mlp.up_proj.weight'" in text
    assert "[7, 32]" in text
    assert "[48, 32]" in text


def test_a_missing_expert_is_named(tmp_path: Path) -> None:
    save_tiny(tmp_path, "mixtral")
    names = [name for name in load_file(tmp_path / "model.safetensors") if "experts.3" in name]
    change_weights(tmp_path, lambda weights: [weights.pop(name) for name in names])
    assert "experts" in refusal(tmp_path)


def test_tables_that_older_releases_stored_are_no_reason_to_refuse(tmp_path: Path) -> None:
    save_tiny(tmp_path, "gpt-j")
    old = {"transformer.h.0.attn.bias": torch.ones(1, 1, 4, 4), "transformer.h.0.attn.masked_bias": torch.tensor(-1e4)}
    change_weights(tmp_path, lambda weights: weights.update(old))
    assert load(tmp_path).vocab_size == VOCABULARY


@pytest.mark.parametrize("name", ["gemma2 windowed", "t5 plain tied", "bart"])
def test_tied_weights_may_be_stored_twice(name: str, tmp_path: Path) -> None:
    save_tiny(tmp_path, name, tie_word_embeddings=True)
    weights = load_file(tmp_path / "model.safetensors")
    shared = next(tensor for key, tensor in weights.items() if "embed_tokens" in key or "shared" in key)
    change_weights(tmp_path, lambda weights: weights.update({"lm_head.weight": shared.clone()}))
    assert load(tmp_path).vocab_size == VOCABULARY


def test_pickled_weights_are_read(tmp_path: Path) -> None:
    save_tiny(tmp_path, "stablelm")
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    assert load(tmp_path).vocab_size == VOCABULARY


def test_corrupt_and_absent_weights_are_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path, "stablelm")
    (tmp_path / "model.safetensors").write_bytes(b"not a tensor in sight")
    assert "can't load" in refusal(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    assert "can't load" in refusal(tmp_path)


def test_code_in_the_directory_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "modeling.py").write_text("raise SystemExit('this must not run')")
    auto_map = {"AutoConfig": "modeling.Config", "AutoModelForCausalLM": "modeling.Model"}
    text = refusal(describe(tmp_path, model_type="homemade", auto_map=auto_map))
    assert "needs code from its repository" in text
    assert "never run" in text


def test_code_beside_a_model_that_transformers_knows_is_passed_over(tmp_path: Path) -> None:
    save_tiny(tmp_path, "stablelm")
    (tmp_path / "modeling.py").write_text("raise SystemExit('this must not run')")
    change_config(tmp_path, auto_map={"AutoModelForCausalLM": "modeling.Model", "AutoConfig": "modeling.Config"})
    assert load(tmp_path).vocab_size == VOCABULARY


@pytest.mark.parametrize("kind", ["homemade", None, 7, ["llama"]])
def test_an_unknown_model_type_is_named(kind: object, tmp_path: Path) -> None:
    assert f"knows no model_type {kind!r}" in refusal(describe(tmp_path, model_type=kind))


def test_a_model_that_writes_no_text_is_refused(tmp_path: Path) -> None:
    transformers.ViTConfig().save_pretrained(tmp_path)
    assert "is no causal and no encoder-decoder language model" in refusal(tmp_path)


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path, "stablelm")
    assert "are quantised" in refusal(change_config(tmp_path, quantization_config={"quant_method": "gptq", "bits": 4}))


def test_a_config_that_transformers_rejects_is_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path, "stablelm")
    assert "config.json" in refusal(change_config(tmp_path, hidden_size="large"))


def test_an_encoder_decoder_without_a_start_is_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path, "t5 plain tied", decoder_start_token_id=None, bos_token_id=None)
    (tmp_path / "generation_config.json").unlink()
    assert "has a decoder_start_token_id" in refusal(tmp_path)


def test_without_transformers_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny(tmp_path, "stablelm")
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert 'pip install "draftwise[transformers]"' in refusal(tmp_path)
