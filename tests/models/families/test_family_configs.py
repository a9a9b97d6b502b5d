"""What config.json may look like: transformers 4's form and 5's, keys that are absent, values that are of no use."""

from __future__ import annotations

import json
from typing import Any

import pytest
import transformers
from tiny_families import CASES, tiny_config

from draftwise.errors import DraftwiseError, UnsupportedError
from draftwise.models.families import FAMILIES
from draftwise.models.own import Architecture
from draftwise.models.own.positions import Dynamic, LongRope, Scaling

Config = dict[str, Any]

_SMALL = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
_SMALL |= {"intermediate_size": 48}
_FACTORS = {"short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [2.0, 3.0, 4.0, 5.0]}
_LLAMA3 = {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192}

HUB: dict[str, Config] = {
    "gpt2": {"model_type": "gpt2", "n_ctx": 64, "n_embd": 32, "n_head": 4, "n_layer": 3, "n_positions": 64}
    | {"vocab_size": 96, "layer_norm_epsilon": 1e-5},
    "opt-125m": {"model_type": "opt", "vocab_size": 96, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 3}
    | {"num_attention_heads": 4, "max_position_embeddings": 64, "do_layer_norm_before": True},
    "pythia": {"model_type": "gpt_neox", "rotary_emb_base": 1000, "rotary_pct": 0.5, "max_position_embeddings": 64},
    "gpt-neox-20b": {"model_type": "gpt_neox", "hidden_act": "gelu_fast"},
    "gpt-neox saved later": {"model_type": "gpt_neox", "rope_scaling": {"type": "linear", "factor": 2.0}},
    "llama-1": {"model_type": "llama", "rms_norm_eps": 1e-6, "pad_token_id": -1},
    "llama-2": {"model_type": "llama", "num_key_value_heads": 4, "rope_scaling": None, "pretraining_tp": 1},
    "llama-3.2": {"model_type": "llama", "num_key_value_heads": 2, "rope_theta": 500000.0, "head_dim": 8}
    | {"max_position_embeddings": 131072, "rope_scaling": _LLAMA3 | {"rope_type": "llama3"}},
    "llama dynamic": {"model_type": "llama", "rope_scaling": {"type": "dynamic", "factor": 2.0}},
    "mistral-0.1": {"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": 4096},
    "mistral-0.3": {"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": None, "rope_theta": 1e6},
    "mistral saved with little": {"model_type": "mistral", "num_attention_heads": 8},
    "qwen2.5": {"model_type": "qwen2", "num_key_value_heads": 2, "use_sliding_window": False, "rope_theta": 1000000.0}
    | {"sliding_window": 32768, "max_window_layers": 2, "tie_word_embeddings": True},
    "qwen2.5 with yarn": {"model_type": "qwen2", "num_key_value_heads": 2, "use_sliding_window": True}
    | {"sliding_window": 16, "max_window_layers": 0}
    | {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}},
    "qwen3": {"model_type": "qwen3", "num_key_value_heads": 2, "rope_theta": 1000000, "tie_word_embeddings": True}
    | {"sliding_window": None, "max_window_layers": 28, "rope_scaling": None},
    "gemma-2": {"model_type": "gemma2", "query_pre_attn_scalar": 224},
    "gemma-2 in full": {"model_type": "gemma2", "num_key_value_heads": 2, "head_dim": 16, "sliding_window": 8}
    | {"final_logit_softcapping": None, "attn_logit_softcapping": None, "rope_theta": 10000.0},
    "gemma-3-1b": {"model_type": "gemma3_text", "sliding_window": 512, "sliding_window_pattern": 2, "head_dim": 16}
    | {"rope_theta": 1000000, "rope_local_base_freq": 10000, "rope_scaling": None, "num_key_value_heads": 1},
    "gemma-3 with little": {"model_type": "gemma3_text"},
    "phi-3-mini": {"model_type": "phi3", "sliding_window": 2047, "rope_theta": 10000.0, "rope_scaling": None},
    "phi-3-mini-128k": {"model_type": "phi3", "max_position_embeddings": 131072, "rope_theta": 10000.0}
    | {"original_max_position_embeddings": 4096, "rope_scaling": _FACTORS | {"type": "longrope"}},
    "phi-4-mini": {"model_type": "phi3", "partial_rotary_factor": 0.5, "num_key_value_heads": 2}
    | {"max_position_embeddings": 131072, "original_max_position_embeddings": 4096}
    | {"rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.2], "long_factor": [1.0, 4.0]}},
}
"""What the Hub's config.json files say, in transformers 4's form and with its omissions; sizes are small."""


def architecture(config: Config) -> Architecture:
    return FAMILIES[config["model_type"]].architecture(config)


def hub(name: str) -> Config:
    return (HUB[name] if name in ("gpt2", "opt-125m") else _SMALL | HUB[name]).copy()


def filled(config: Config) -> Config:
    """The same as transformers 5 understands it, every key written out."""
    values = {key: value for key, value in config.items() if key != "model_type"}
    kind = transformers.models.auto.CONFIG_MAPPING[config["model_type"]]
    result: Config = json.loads(kind(**json.loads(json.dumps(values))).to_json_string(use_diff=False))
    return result


@pytest.mark.parametrize("name", HUB)
def test_a_config_of_the_hub_means_what_transformers_takes_it_for(name: str) -> None:
    config = hub(name)
    theirs = filled(config)
    assert "rope_scaling" not in theirs and "rotary_pct" not in theirs, "still in transformers 4's form"
    assert architecture(config) == architecture(theirs)


@pytest.mark.parametrize("name", CASES)
def test_a_config_written_in_full_means_the_same_as_a_short_one(name: str) -> None:
    config = tiny_config(CASES[name])
    short, full = (json.loads(config.to_json_string(use_diff=use)) for use in (True, False))
    assert architecture(short) == architecture(full)


@pytest.mark.parametrize("first", ["su", "yarn"])
def test_the_names_that_longrope_had_at_first_are_known(first: str) -> None:
    config = hub("phi-3-mini-128k")
    assert architecture(config | {"rope_scaling": _FACTORS | {"type": first}}) == architecture(config)


def test_gemma3_with_images_is_read_by_its_text_part() -> None:
    text = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 8, "sliding_window": 16}
    text |= {"model_type": "gemma3_text", "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}
    whole = {"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 16}}
    shape = architecture(whole)
    assert shape == architecture(filled(text)) == architecture(text)
    assert (shape.heads, shape.key_value_heads, shape.head_dim, shape.vocab_size) == (8, 4, 256, 262208)
    assert [kind.window for kind in shape.layers] == [16] * 5 + [None] + [16] * 2
    rotaries = [kind.rotary for kind in shape.layers if kind.rotary is not None]
    assert (rotaries[0].theta, rotaries[5].theta) == (10_000, 1_000_000)
    assert rotaries[0].scaling == Scaling() != rotaries[5].scaling


def test_a_stretched_context_is_as_long_as_it_can_be_rewound() -> None:
    shape = architecture(hub("llama dynamic"))
    assert shape.max_positions == 2 * 2048 and isinstance(shape.layers[0].rotary.scaling, Dynamic)  # type: ignore
    shape = architecture(hub("phi-3-mini-128k"))
    assert shape.max_positions == 4096 and isinstance(shape.layers[0].rotary.scaling, LongRope)  # type: ignore


LLAMA = _SMALL | {"model_type": "llama"}
GEMMA3 = _SMALL | {"model_type": "gemma3_text"}
QWEN = _SMALL | {"model_type": "qwen2", "num_key_value_heads": 2}

BAD: dict[str, tuple[Config, str]] = {
    "no width": ({"model_type": "llama"}, "config.json lacks"),
    "heads that don't divide": (LLAMA | {"num_attention_heads": 5}, "hidden_size 32.*num_attention_heads 5"),
    "groups that don't divide": (LLAMA | {"num_key_value_heads": 3}, "num_attention_heads 4.*num_key_value_heads 3"),
    "no shared heads": (LLAMA | {"num_key_value_heads": 0}, "num_key_value_heads must be .* at least 1, not 0"),
    "negative head": (LLAMA | {"head_dim": -8}, "head_dim .*not -8"),
    "a fraction": (LLAMA | {"intermediate_size": 48.0}, "intermediate_size .*not 48.0"),
    "text for theta": (LLAMA | {"rope_theta": "1e4"}, "rope_theta must be a number above 0, not '1e4'"),
    "infinite theta": (LLAMA | {"rope_theta": float("inf")}, "rope_theta .*not inf"),
    "a huge theta": (LLAMA | {"rope_theta": 10**400}, "rope_theta must be a number above 0"),
    "a theta that turns nothing": (LLAMA | {"rope_theta": 1}, "base of rotary positions must be above 1, not 1.0"),
    "a huge head": (LLAMA | {"head_dim": 10**400}, "head_dim must be at most"),
    "a huge depth": (LLAMA | {"num_hidden_layers": 10**12}, "num_hidden_layers must be at most 10000, not"),
    "trained on nothing": (
        LLAMA | {"max_position_embeddings": 1, "rope_scaling": _FACTORS | {"type": "longrope"}},
        "original_max_position_embeddings must be at least 2",
    ),
    "true for eps": (LLAMA | {"rms_norm_eps": True}, "rms_norm_eps .*not True"),
    "null for a flag": (LLAMA | {"attention_bias": None}, "attention_bias must be true or false, not None"),
    "a list for scaling": (LLAMA | {"rope_scaling": [2]}, r"rope_scaling must be an object, not \[2\]"),
    "scaling without factor": (LLAMA | {"rope_scaling": {"type": "linear"}}, "lacks rope_scaling.factor"),
    "scaling by nothing": (
        LLAMA | {"rope_parameters": {"rope_type": "dynamic", "factor": 0}},
        "rope_parameters.factor must be a number above 0, not 0",
    ),
    "a number for a kind": (LLAMA | {"rope_scaling": {"rope_type": 3}}, "rope_scaling.rope_type must be a name, not 3"),
    "bands the wrong way": (
        LLAMA | {"rope_scaling": {"rope_type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 1}},
        "low_freq_factor 4.0 must be below high_freq_factor 1.0",
    ),
    "too few factors": (
        _SMALL | {"model_type": "phi3", "rope_scaling": {"type": "longrope", "short_factor": [1.0]}},
        "rope_scaling.short_factor must be a list of 4 numbers",
    ),
    "layer types for another depth": (QWEN | {"layer_types": ["full_attention"]}, "layer_types must be a list of 3"),
    "sliding without a window": (
        QWEN | {"layer_types": ["sliding_attention"] * 3},
        "sliding_window must be a number",
    ),
    "no pattern": (GEMMA3 | {"sliding_window_pattern": 0}, "sliding_window_pattern .*not 0"),
    "text part a list": ({"model_type": "gemma3", "text_config": []}, "text_config must be an object"),
    "no text part": ({"model_type": "gemma3"}, "config.json lacks text_config."),
    "a cap of nothing": (GEMMA3 | {"final_logit_softcapping": 0.0}, "final_logit_softcapping .*not 0.0"),
}

LACKING: dict[str, tuple[Config, str]] = {
    "quantized": (LLAMA | {"quantization_config": {"quant_method": "gptq"}}, "no quantization_config"),
    "unknown rope": (LLAMA | {"rope_scaling": {"rope_type": "spiral"}}, "no own rope_type 'spiral'; .*llama3, yarn"),
    "unknown activation": (LLAMA | {"hidden_act": "mish"}, "no own hidden_act 'mish'; there are: relu"),
    "unknown layer": (QWEN | {"layer_types": ["linear_attention"] * 3}, "layer type 'linear_attention'"),
    "both directions": (GEMMA3 | {"use_bidirectional_attention": True}, "no use_bidirectional_attention"),
    "an odd part turned": (_SMALL | {"model_type": "gpt_neox", "rotary_pct": 0.4}, "even part"),
    "cross attention": (hub("gpt2") | {"add_cross_attention": True}, "no add_cross_attention"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_a_bad_value_earns_one_line_that_names_it(config: Config, message: str) -> None:
    with pytest.raises(DraftwiseError, match=message) as caught:
        architecture(config)
    assert "\n" not in str(caught.value) and not isinstance(caught.value, UnsupportedError)


@pytest.mark.parametrize(("config", "message"), LACKING.values(), ids=LACKING)
def test_a_switch_that_we_lack_is_left_to_the_adapter(config: Config, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message) as caught:
        architecture(config)
    assert "\n" not in str(caught.value)
