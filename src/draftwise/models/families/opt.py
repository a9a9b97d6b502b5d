"""OPT (Zhang et al. 2022) in every shape it was published: 125m to 66b, and 350m with norms after the blocks."""

from __future__ import annotations

from draftwise.models.families.reading import Reader
from draftwise.models.families.settings import Settings
from draftwise.models.own import Architecture, Layer, LayerKind, Norm, Weights

DEFAULTS = {
    "word_embed_proj_dim": None,
    "activation_function": "relu",
    "do_layer_norm_before": True,
    "_remove_final_layer_norm": False,
    "enable_bias": True,
    "layer_norm_elementwise_affine": True,
    "tie_word_embeddings": True,
}
_POSITION_OFFSET = 2  # the position table's first two rows are never used


def describe(settings: Settings) -> Architecture:
    """The switches of an OPT config.json."""
    layers, head_dim = settings.depth("num_hidden_layers"), settings.quotient("hidden_size", "num_attention_heads")
    before, bias = settings.flag("do_layer_norm_before"), settings.flag("enable_bias")
    return Architecture(
        vocab_size=settings.size("vocab_size"),
        hidden=settings.size("hidden_size"),
        heads=settings.size("num_attention_heads"),
        key_value_heads=settings.size("num_attention_heads"),
        head_dim=head_dim,
        feed_forward=settings.size("ffn_dim"),
        max_positions=settings.size("max_position_embeddings"),
        layers=(LayerKind(),) * layers,
        scales=(head_dim**-0.5,) * layers,
        norm="layer",
        norm_eps=1e-5,
        residual="pre" if before else "post",
        activation=settings.activation("activation_function"),
        gated=False,
        tied=settings.flag("tie_word_embeddings"),
        embedding_width=settings.optional_size("word_embed_proj_dim") or settings.size("hidden_size"),
        norm_weights=settings.flag("layer_norm_elementwise_affine"),
        qkv_bias=bias,
        out_bias=bias,
        feed_forward_bias=bias,
        learned_positions=True,
        final_norm=before and not settings.flag("_remove_final_layer_norm"),
    )


def read(reader: Reader) -> Weights:
    """The weights of an OPT checkpoint."""
    architecture, checkpoint = reader.architecture, reader.checkpoint.without_prefixes("model.", "decoder.")
    checkpoint.ignore("version", *(() if architecture.final_norm else (r"final_layer_norm\.(weight|bias)",)))
    hidden, narrow = architecture.hidden, architecture.embedding_width
    tokens, head = reader.tables("embed_tokens.weight", "lm_head.weight")
    rows = architecture.max_positions + _POSITION_OFFSET
    return Weights(
        tokens=tokens,
        layers=tuple(_layer(reader, f"layers.{index}.") for index in range(len(architecture.layers))),
        head=head,
        final_norm=reader.norm("final_layer_norm") if architecture.final_norm else Norm(),
        positions=checkpoint.take("embed_positions.weight", rows, hidden)[_POSITION_OFFSET:],
        project_in=None if narrow == hidden else reader.matrix("project_in", hidden, narrow, bias=False),
        project_out=None if narrow == hidden else reader.matrix("project_out", narrow, hidden, bias=False),
    )


def _layer(reader: Reader, name: str) -> Layer:
    shape, attention = reader.architecture, f"{name}self_attn"
    hidden, wide, bias = shape.hidden, shape.feed_forward, shape.qkv_bias
    return Layer(
        attention_norm=reader.norm(f"{attention}_layer_norm"),
        qkv=reader.stack([f"{attention}.{part}_proj" for part in "qkv"], reader.qkv_rows, hidden, bias),
        out=reader.matrix(f"{attention}.out_proj", hidden, hidden, bias),
        feed_forward_norm=reader.norm(f"{name}final_layer_norm"),
        up=reader.matrix(f"{name}fc1", wide, hidden, bias),
        down=reader.matrix(f"{name}fc2", hidden, wide, bias),
    )
