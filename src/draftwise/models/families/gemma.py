"""Gemma 2 and 3 (Gemma Team 2024, 2025): norms at both ends of each part, layers that see all or a window by turns.

Gemma 3 is read in its text form (gemma3_text) and from the checkpoints that also read images (gemma3), without their
vision part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from draftwise.models.families.llama import NormNames, decoder, read_decoder, sliding_layers, windowed
from draftwise.models.families.reading import Reader
from draftwise.models.families.rope import rotary_of
from draftwise.models.families.settings import Settings
from draftwise.models.own import Architecture, Weights

GEMMA2_DEFAULTS: dict[str, Any] = {
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "rope_theta": 10000.0,
    "attention_bias": False,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "layer_types": None,
    "final_logit_softcapping": 30.0,
    "attn_logit_softcapping": 50.0,
}
GEMMA3_DEFAULTS = GEMMA2_DEFAULTS | {
    "vocab_size": 262208,
    "num_attention_heads": 8,
    "max_position_embeddings": 131072,
    "sliding_window_pattern": 6,
    "rope_theta": 1000000.0,
    "rope_local_base_freq": 10000.0,
    "final_logit_softcapping": None,
}
_NORMS = NormNames(
    attention="input_layernorm",
    attention_end="post_attention_layernorm",
    feed_forward="pre_feedforward_layernorm",
    feed_forward_end="post_feedforward_layernorm",
)


def describe_gemma2(settings: Settings) -> Architecture:
    """The switches of a Gemma 2 config.json."""
    cap = settings.optional_number("attn_logit_softcapping")
    return replace(_gemma(settings, pattern=2), attention_cap=cap)


def describe_gemma3(settings: Settings) -> Architecture:
    """The switches of a config.json of Gemma 3's text form."""
    shape = _gemma(settings, settings.size("sliding_window_pattern"))
    nested = settings.section("rope_parameters")
    stretched, local = nested.section("full_attention"), nested.section("sliding_attention")
    if not settings.section("rope_scaling").empty:
        stretched = settings.section("rope_scaling")

    everywhere = rotary_of(settings, stretched, shape.head_dim, _theta(settings, stretched, "rope_theta"))
    nearby = rotary_of(settings, local, shape.head_dim, _theta(settings, local, "rope_local_base_freq"))
    kinds = tuple(replace(kind, rotary=nearby if kind.window else everywhere) for kind in shape.layers)
    reach = everywhere.scaling.reach(settings.size("max_position_embeddings"))
    return replace(shape, layers=kinds, max_positions=reach, query_key_norm=True)


def describe_gemma3_with_images(settings: Settings) -> Architecture:
    """The switches of the text form within a config.json of Gemma 3."""
    tied = settings.flag("tie_word_embeddings")
    return replace(describe_gemma3(settings.section("text_config", GEMMA3_DEFAULTS)), tied=tied)


def _theta(settings: Settings, section: Settings, key: str) -> float:
    return section.number("rope_theta") if section.has("rope_theta") else settings.number(key)


def _gemma(settings: Settings, pattern: int) -> Architecture:
    settings.refuse("use_bidirectional_attention")
    bias, scale = settings.flag("attention_bias"), settings.number("query_pre_attn_scalar") ** -0.5
    shape = decoder(settings, activation="hidden_activation")
    count = len(shape.layers)
    sliding = sliding_layers(settings, count, lambda index: (index + 1) % pattern > 0)
    return replace(
        windowed(shape, settings.optional_size("sliding_window"), sliding),
        norm="rms_wide",
        residual="sandwich",
        scales=(scale,) * count,
        qkv_bias=bias,
        out_bias=bias,
        embedding_scale=shape.hidden**0.5,
        logit_cap=settings.optional_number("final_logit_softcapping"),
    )


def read(reader: Reader) -> Weights:
    """The weights of a Gemma checkpoint; those that read images stay behind."""
    text = reader.checkpoint.without_prefixes("model.", "language_model.", "model.")
    text.ignore(r"(vision_tower|multi_modal_projector)\..*")
    return read_decoder(reader, _NORMS)
