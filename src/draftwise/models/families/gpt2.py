"""GPT-2 (Radford et al. 2019): learned positions; queries, keys and values of one map; maps are stored turned."""

from __future__ import annotations

from draftwise.models.families.reading import Reader
from draftwise.models.families.settings import Settings
from draftwise.models.own import Architecture, Layer, LayerKind, Weights

DEFAULTS = {
    "n_inner": None,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
}


def describe(settings: Settings) -> Architecture:
    """The switches of a GPT-2 config.json."""
    settings.refuse("add_cross_attention")
    hidden, heads, layers = settings.size("n_embd"), settings.size("n_head"), settings.depth("n_layer")
    head_dim = settings.quotient("n_embd", "n_head")
    scale = head_dim**-0.5 if settings.flag("scale_attn_weights") else 1.0
    inverse = settings.flag("scale_attn_by_inverse_layer_idx")
    return Architecture(
        vocab_size=settings.size("vocab_size"),
        hidden=hidden,
        heads=heads,
        key_value_heads=heads,
        head_dim=head_dim,
        feed_forward=settings.optional_size("n_inner") or 4 * hidden,
        max_positions=settings.size("n_positions"),
        layers=(LayerKind(),) * layers,
        scales=tuple(scale / (index + 1) if inverse else scale for index in range(layers)),
        norm="layer",
        norm_eps=settings.number("layer_norm_epsilon"),
        residual="pre",
        activation=settings.activation("activation_function"),
        gated=False,
        tied=settings.flag("tie_word_embeddings"),
        embedding_width=hidden,
        qkv_bias=True,
        out_bias=True,
        feed_forward_bias=True,
        learned_positions=True,
    )


def read(reader: Reader) -> Weights:
    """The weights of a GPT-2 checkpoint."""
    architecture, checkpoint = reader.architecture, reader.checkpoint.without_prefixes("transformer.")
    checkpoint.ignore(r"h\.\d+\.attn\.(masked_)?bias")
    tokens, head = reader.tables("wte.weight", "lm_head.weight")
    return Weights(
        tokens=tokens,
        layers=tuple(_layer(reader, f"h.{index}.") for index in range(len(architecture.layers))),
        head=head,
        final_norm=reader.norm("ln_f"),
        positions=checkpoint.take("wpe.weight", architecture.max_positions, architecture.hidden),
    )


def _layer(reader: Reader, name: str) -> Layer:
    hidden, wide = reader.architecture.hidden, reader.architecture.feed_forward
    return Layer(
        attention_norm=reader.norm(f"{name}ln_1"),
        qkv=reader.turned(f"{name}attn.c_attn", 3 * hidden, hidden),
        out=reader.turned(f"{name}attn.c_proj", hidden, hidden),
        feed_forward_norm=reader.norm(f"{name}ln_2"),
        up=reader.turned(f"{name}mlp.c_fc", wide, hidden),
        down=reader.turned(f"{name}mlp.c_proj", hidden, wide),
    )
