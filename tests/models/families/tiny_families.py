"""Small random checkpoints of every family, written by transformers; together they set each of a family's switches."""

from __future__ import annotations

import atexit
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from torch import Tensor

from draftwise.models.loading import load_model
from draftwise.models.protocol import CausalLM

VOCABULARY = 96
POSITIONS = 96
TOLERANCE = 1e-4

_ROPE = {"rope_theta": 10000.0}
_LLAMA3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
_YARN = {"rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0, "original_max_position_embeddings": 24}
_LONG = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0, 1.5, 2.0, 4.0], "long_factor": [9.0] * 4}
_MIXED = ["full_attention", "sliding_attention", "full_attention"]
_GEMMA = {"head_dim": 16, "sliding_window": 6, "query_pre_attn_scalar": 24, "num_key_value_heads": 2}
_VISION = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
_VISION |= {"image_size": 8, "patch_size": 4}


@dataclass(frozen=True)
class Case:
    """A family's config class in transformers, and what is set besides the common small shape."""

    config: str
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    token_std: float = 0.35  # large token vectors drown what the layers add, and the answer repeats itself


CASES: dict[str, Case] = {
    "llama": Case("Llama"),
    "llama grouped": Case(
        "Llama",
        {"num_key_value_heads": 2, "attention_bias": True, "mlp_bias": True, "rms_norm_eps": 0.1}
        | {"rope_parameters": _LLAMA3 | {"original_max_position_embeddings": 32}},
    ),
    "llama yarn": Case("Llama", {"num_key_value_heads": 1, "head_dim": 16, "rope_parameters": _YARN}),
    "llama yarn scaled": Case("Llama", {"rope_parameters": _YARN | {"mscale": 0.7, "mscale_all_dim": 0.3}}),
    "llama linear": Case(
        "Llama",
        {"mlp_bias": True, "hidden_act": "gelu", "tie_word_embeddings": True}
        | {"rope_parameters": _ROPE | {"rope_type": "linear", "factor": 3.0}},
    ),
    "llama dynamic": Case(
        "Llama",
        {"max_position_embeddings": 24, "rope_parameters": _ROPE | {"rope_type": "dynamic", "factor": 4.0}},
    ),
    "llama longrope": Case(
        "Llama",
        {"max_position_embeddings": 384, "rope_parameters": _LONG | {"original_max_position_embeddings": POSITIONS}},
    ),
    "mistral": Case("Mistral", {"sliding_window": None, "num_key_value_heads": 4}),
    "mistral windowed": Case("Mistral", {"sliding_window": 5, "num_key_value_heads": 2, "head_dim": 12}),
    "mistral wide window": Case(
        "Mistral",
        {"sliding_window": 40, "num_key_value_heads": 1, "tie_word_embeddings": True}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}},
    ),
    "mistral alternating": Case(  # which transformers runs as a Ministral
        "Mistral",
        {"sliding_window": 6, "num_key_value_heads": 2}
        | {"layer_types": ["full_attention", "sliding_attention", "full_attention"]},
    ),
    "qwen2": Case("Qwen2", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "qwen2 late windows": Case(
        "Qwen2",
        {"num_key_value_heads": 4, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1},
    ),
    "qwen2 yarn": Case(
        "Qwen2",
        {"num_key_value_heads": 1, "use_sliding_window": True, "sliding_window": 7, "layer_types": _MIXED}
        | {"rope_parameters": _YARN | {"truncate": False, "beta_fast": 16.0, "attention_factor": 1.3}},
    ),
    "qwen3": Case("Qwen3", {"num_key_value_heads": 2, "head_dim": 16}),
    "qwen3 biased": Case("Qwen3", {"num_key_value_heads": 4, "head_dim": 8, "attention_bias": True}),
    "qwen3 windowed": Case(
        "Qwen3",
        {"num_key_value_heads": 1, "head_dim": 12, "use_sliding_window": True, "sliding_window": 6}
        | {"max_window_layers": 2, "tie_word_embeddings": True, "rms_norm_eps": 0.1},
    ),
    "gemma2": Case(
        "Gemma2", _GEMMA | {"attn_logit_softcapping": 3.0, "final_logit_softcapping": 4.0}, seed=2, token_std=0.12
    ),
    "gemma2 uncapped": Case(
        "Gemma2",
        _GEMMA | {"attn_logit_softcapping": None, "final_logit_softcapping": None, "attention_bias": True},
        token_std=0.12,
    ),
    "gemma2 mixed": Case(
        "Gemma2",
        _GEMMA
        | {"layer_types": _MIXED, "num_key_value_heads": 4, "head_dim": 8, "hidden_activation": "silu"}
        | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": None, "rope_parameters": {"rope_theta": 50.0}},
        seed=1,
        token_std=0.12,
    ),
    "gemma3 text": Case("Gemma3Text", _GEMMA, seed=2, token_std=0.12),
    "gemma3 text mixed": Case(
        "Gemma3Text",
        _GEMMA
        | {"layer_types": _MIXED, "num_key_value_heads": 1, "final_logit_softcapping": 4.0}
        | {
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "rope_theta": 3000.0, "factor": 8.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 20.0},
            }
        },
        seed=4,
        token_std=0.12,
    ),
    "gemma3 text patterned": Case(
        "Gemma3Text",
        _GEMMA | {"sliding_window_pattern": 2, "attention_bias": True, "tie_word_embeddings": False, "head_dim": 8},
    ),
    "gemma3": Case(
        "Gemma3",
        {"text_config": _GEMMA | {"sliding_window_pattern": 3}, "vision_config": _VISION},
        seed=5,
        token_std=0.12,
    ),
    "phi3": Case("Phi3"),
    "phi3 windowed": Case("Phi3", {"num_key_value_heads": 2, "sliding_window": 6, "tie_word_embeddings": True}),
    "phi3 partial": Case("Phi3", {"num_key_value_heads": 1, "partial_rotary_factor": 0.5, "hidden_act": "gelu_new"}),
    "phi3 longrope": Case(
        "Phi3",
        {"max_position_embeddings": 384, "original_max_position_embeddings": POSITIONS, "rope_parameters": _LONG},
    ),
    "gpt2": Case("GPT2"),
    "gpt2 by depth": Case(
        "GPT2",
        {"scale_attn_by_inverse_layer_idx": True, "n_inner": 40, "activation_function": "relu"}
        | {"tie_word_embeddings": False, "layer_norm_epsilon": 0.1},
    ),
    "gpt2 unscaled": Case("GPT2", {"scale_attn_weights": False, "n_head": 2, "activation_function": "silu"}),
    "gpt-neox": Case("GPTNeoX"),
    "gpt-neox in sequence": Case(
        "GPTNeoX",
        {"use_parallel_residual": False, "hidden_act": "gelu_fast", "tie_word_embeddings": True}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.5}},
        seed=1,
    ),
    "gpt-neox linear": Case(
        "GPTNeoX",
        {"attention_bias": False, "layer_norm_eps": 0.1}
        | {"rope_parameters": _ROPE | {"rope_type": "linear", "factor": 2.0, "partial_rotary_factor": 1.0}},
    ),
    "opt": Case("OPT"),
    "opt 350m": Case(
        "OPT", {"do_layer_norm_before": False, "word_embed_proj_dim": 16, "activation_function": "gelu"}, seed=3
    ),
    "opt bare": Case(
        "OPT",
        {"enable_bias": False, "layer_norm_elementwise_affine": False, "tie_word_embeddings": False}
        | {"_remove_final_layer_norm": True},
    ),
}


def tiny_config(case: Case) -> transformers.PreTrainedConfig:
    """A case's config over the common small shape, in the family's own names."""
    settings = {"vocab_size": VOCABULARY, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    if case.config == "GPT2":
        settings |= {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": POSITIONS}
    else:
        settings |= {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
        settings |= {"intermediate_size": 48, "ffn_dim": 48, "max_position_embeddings": POSITIONS}
        del settings["intermediate_size" if case.config == "OPT" else "ffn_dim"]
    if case.config == "Gemma3":
        text = transformers.Gemma3TextConfig(**settings | case.settings["text_config"])
        return transformers.Gemma3Config(**case.settings | {"text_config": text.to_dict()})
    return getattr(transformers, f"{case.config}Config")(**settings | case.settings)


def save(case: Case, directory: Path, **options: Any) -> Path:
    """Write a case's random model, the norms and biases far from where transformers starts them."""
    with torch.random.fork_rng():
        torch.manual_seed(case.seed)
        model = transformers.AutoModelForCausalLM.from_config(tiny_config(case))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter is model.get_input_embeddings().weight:
                    parameter.normal_(std=case.token_std)
                elif parameter.dim() > 1:
                    parameter.normal_(std=0.35)
                else:
                    parameter += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(directory, **options)
    return directory


@cache
def directory(name: str) -> Path:
    """Where a case is saved, once a run."""
    return save(CASES[name], _root() / name)


@cache
def _root() -> Path:
    folder = TemporaryDirectory(prefix="draftwise-families-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def own(name: str) -> CausalLM:
    """A case in our own forward pass."""
    return load_model(directory(name), implementation="own", backend="plain")


@cache
def reference(name: str) -> transformers.PreTrainedModel:
    """A case in transformers, in float32, with the attention that knows every switch."""
    return reference_in(name, torch.float32)


def reference_in(name: str, dtype: torch.dtype) -> transformers.PreTrainedModel:
    return transformers.AutoModelForCausalLM.from_pretrained(
        directory(name), dtype=dtype, attn_implementation="eager"
    ).eval()


def ids(batch: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(0, VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(seed))


def at(*starts: int) -> Tensor:
    return torch.tensor(starts)


def whole(model: CausalLM, tokens: Tensor, capacity: int = POSITIONS) -> Tensor:
    """Logits of every position, from a fresh cache in one pass."""
    batch, length = tokens.shape
    cache = model.new_cache(batch, capacity)
    return model.forward(tokens, at(*[0] * batch), cache, span=length, keep=length)


def close(got: Tensor, expected: Tensor, tolerance: float = TOLERANCE) -> None:
    torch.testing.assert_close(got, expected, atol=tolerance, rtol=0)
