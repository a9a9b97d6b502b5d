"""GPT-NeoX (Black et al. 2022), Pythia (Biderman et al. 2023): part of a head is turned, the residual is parallel."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from draftwise.models.families.reading import Reader
from draftwise.models.families.rope import read_rotary
from draftwise.models.families.settings import Settings
from draftwise.models.own import Architecture, Layer, LayerKind, Weights

DEFAULTS = {
    "hidden_act": "gelu",
    "max_position_embeddings": 2048,
    "layer_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "use_parallel_residual": True,
    "attention_bias": True,
    "rotary_emb_base": 10000.0,
    "rotary_pct": 0.25,
}


def describe(settings: Settings) -> Architecture:
    """The switches of a GPT-NeoX config.json."""
    hidden, heads = settings.size("hidden_size"), settings.size("num_attention_heads")
    layers = settings.depth("num_hidden_layers")
    head_dim, bias = settings.quotient("hidden_size", "num_attention_heads"), settings.flag("attention_bias")
    rotary = read_rotary(settings, head_dim, theta_key="rotary_emb_base", fraction_key="rotary_pct")
    return Architecture(
        vocab_size=settings.size("vocab_size"),
        hidden=hidden,
        heads=heads,
        key_value_heads=heads,
        head_dim=head_dim,
        feed_forward=settings.size("intermediate_size"),
        max_positions=rotary.scaling.reach(settings.size("max_position_embeddings")),
        layers=(LayerKind(rotary),) * layers,
        scales=(head_dim**-0.5,) * layers,
        norm="layer",
        norm_eps=settings.number("layer_norm_eps"),
        residual="parallel" if settings.flag("use_parallel_residual") else "pre",
        activation=settings.activation("hidden_act"),
        gated=False,
        tied=settings.flag("tie_word_embeddings"),
        embedding_width=hidden,
        qkv_bias=bias,
        out_bias=bias,
        feed_forward_bias=True,
    )


def read(reader: Reader) -> Weights:
    """The weights of a GPT-NeoX checkpoint."""
    architecture, checkpoint = reader.architecture, reader.checkpoint.without_prefixes("gpt_neox.")
    checkpoint.ignore(r"layers\.\d+\.attention\.((masked_)?bias|rotary_emb\.inv_freq)")
    older = checkpoint.has("embed_out.weight")  # before transformers 5.23
    tokens, head = reader.tables("embed_in.weight", "embed_out.weight" if older else "lm_head.weight")
    return Weights(
        tokens=tokens,
        layers=tuple(_layer(reader, f"layers.{index}.") for index in range(len(architecture.layers))),
        head=head,
        final_norm=reader.norm("final_layer_norm"),
    )


def _layer(reader: Reader, name: str) -> Layer:
    shape = reader.architecture
    hidden, wide, bias = shape.hidden, shape.feed_forward, shape.qkv_bias
    fused, by_kind = f"{name}attention.query_key_value", partial(_sorted, heads=shape.heads)
    return Layer(
        attention_norm=reader.norm(f"{name}input_layernorm"),
        qkv=reader.matrix(fused, 3 * hidden, hidden, bias, order=by_kind),
        out=reader.matrix(f"{name}attention.dense", hidden, hidden, bias),
        feed_forward_norm=reader.norm(f"{name}post_attention_layernorm"),
        up=reader.matrix(f"{name}mlp.dense_h_to_4h", wide, hidden, bias=True),
        down=reader.matrix(f"{name}mlp.dense_4h_to_h", hidden, wide, bias=True),
    )


def _sorted(rows: Tensor, heads: int) -> Tensor:
    """Rows that stand head by head, a head's query, key and value together, put in the order of ``Layer.qkv``."""
    return rows.view(heads, 3, -1).transpose(0, 1).reshape(rows.shape)
