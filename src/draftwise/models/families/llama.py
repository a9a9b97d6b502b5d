"""Llama 1 to 3 (Touvron et al. 2023), and what is built like it: Mistral, Qwen 2 and 2.5, Qwen 3."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from draftwise.errors import DraftwiseError, UnsupportedError
from draftwise.models.families.reading import Reader
from draftwise.models.families.rope import read_rotary
from draftwise.models.families.settings import Settings
from draftwise.models.own import Architecture, Layer, LayerKind, Matrix, Norm, Weights

LLAMA_DEFAULTS = {
    "num_key_value_heads": None,
    "head_dim": None,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "rope_theta": 10000.0,
    "attention_bias": False,
    "mlp_bias": False,
}
MISTRAL_DEFAULTS = LLAMA_DEFAULTS | {
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
    "layer_types": None,
}
QWEN2_DEFAULTS = LLAMA_DEFAULTS | {
    "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
    "layer_types": None,
}
QWEN3_DEFAULTS = QWEN2_DEFAULTS | {"head_dim": 128}


def describe_llama(settings: Settings) -> Architecture:
    """The switches of a Llama config.json."""
    bias = settings.flag("attention_bias")
    shape = decoder(settings)
    return replace(shape, qkv_bias=bias, out_bias=bias, feed_forward_bias=settings.flag("mlp_bias"))


def describe_mistral(settings: Settings) -> Architecture:
    """The switches of a Mistral config.json; one with layer_types is a Ministral's, whose layers may alternate."""
    window = settings.optional_size("sliding_window")
    shape = decoder(settings)
    return windowed(shape, window, sliding_layers(settings, len(shape.layers), lambda index: window is not None))


def describe_qwen2(settings: Settings) -> Architecture:
    """The switches of a config.json of Qwen 2 or 2.5."""
    return replace(_qwen(settings), qkv_bias=True)


def describe_qwen3(settings: Settings) -> Architecture:
    """The switches of a Qwen 3 config.json."""
    bias = settings.flag("attention_bias")
    return replace(_qwen(settings), qkv_bias=bias, out_bias=bias, query_key_norm=True)


def _qwen(settings: Settings) -> Architecture:
    window = settings.optional_size("sliding_window") if settings.flag("use_sliding_window") else None
    first = settings.size("max_window_layers", least=0)
    shape = decoder(settings)
    sliding = sliding_layers(settings, len(shape.layers), lambda index: window is not None and index >= first)
    return windowed(shape, window, sliding)


def decoder(settings: Settings, activation: str = "hidden_act", **rotary_keys: str) -> Architecture:
    """What a Llama and all its kin have in common; no biases.

    Args:
        settings: config.json over a family's defaults.
        activation: the key of the activation's name.
        rotary_keys: keywords of ``read_rotary``.
    """
    hidden, heads = settings.size("hidden_size"), settings.size("num_attention_heads")
    layers = settings.depth("num_hidden_layers")
    head_dim = settings.optional_size("head_dim") or settings.quotient("hidden_size", "num_attention_heads")
    grouped = settings.has("num_key_value_heads")
    shared = settings.quotient("num_attention_heads", "num_key_value_heads") if grouped else 1
    rotary = read_rotary(settings, head_dim, **rotary_keys)
    return Architecture(
        vocab_size=settings.size("vocab_size"),
        hidden=hidden,
        heads=heads,
        key_value_heads=heads // shared,
        head_dim=head_dim,
        feed_forward=settings.size("intermediate_size"),
        max_positions=rotary.scaling.reach(settings.size("max_position_embeddings")),
        layers=(LayerKind(rotary),) * layers,
        scales=(head_dim**-0.5,) * layers,
        norm="rms",
        norm_eps=settings.number("rms_norm_eps"),
        residual="pre",
        activation=settings.activation(activation),
        gated=True,
        tied=settings.flag("tie_word_embeddings"),
        embedding_width=hidden,
    )


def sliding_layers(settings: Settings, count: int, usual: Callable[[int], bool]) -> list[bool]:
    """Which layers have an attention window: those that layer_types names, without it the ``usual`` ones."""
    if not settings.has("layer_types"):
        return [usual(index) for index in range(count)]
    kinds = {"full_attention": False, "sliding_attention": True}
    names = settings.names("layer_types", count)
    unknown = next((name for name in names if name not in kinds), None)
    if unknown is not None:
        raise UnsupportedError(f"config.json: no own layer type {unknown!r}; there are: {', '.join(kinds)}")
    return [kinds[name] for name in names]


def windowed(shape: Architecture, window: int | None, sliding: Iterable[bool] | None = None) -> Architecture:
    """The same with an attention window in the layers that slide; in all of them by default, where there is one."""
    flags = [window is not None] * len(shape.layers) if sliding is None else list(sliding)
    if window is None and any(flags):
        raise DraftwiseError("config.json: layer_types names sliding_attention, so sliding_window must be a number")
    pairs = zip(shape.layers, flags, strict=True)
    return replace(shape, layers=tuple(replace(kind, window=window if flag else None) for kind, flag in pairs))


class NormNames(NamedTuple):
    """What a family calls the norms of a block; the later two only where there are norms at both ends."""

    attention: str = "input_layernorm"
    feed_forward: str = "post_attention_layernorm"
    attention_end: str | None = None
    feed_forward_end: str | None = None


def read(reader: Reader) -> Weights:
    """The weights of a checkpoint of Llama or its kin."""
    reader.checkpoint.without_prefixes("model.")
    return read_decoder(reader, NormNames())


def read_decoder(reader: Reader, norms: NormNames, *, fused: bool = False) -> Weights:
    """The weights of a checkpoint that has lost its prefixes; ``fused`` where maps of one input are stored as one."""
    reader.checkpoint.ignore(r"(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq")
    tokens, head = reader.tables("embed_tokens.weight", "lm_head.weight")
    count = len(reader.architecture.layers)
    return Weights(
        tokens=tokens,
        layers=tuple(_layer(reader, norms, fused, f"layers.{index}.") for index in range(count)),
        head=head,
        final_norm=reader.norm("norm"),
    )


def _layer(reader: Reader, norms: NormNames, fused: bool, name: str) -> Layer:
    shape, attention, mlp = reader.architecture, f"{name}self_attn.", f"{name}mlp."
    hidden, wide, mixed, rows = shape.hidden, shape.feed_forward, shape.heads * shape.head_dim, reader.qkv_rows
    qkv = ["qkv_proj"] if fused else ["q_proj", "k_proj", "v_proj"]
    up = ["gate_up_proj"] if fused else ["gate_proj", "up_proj"]

    def stack(place: str, parts: list[str], rows: tuple[int, ...], bias: bool, halves: bool = False) -> Matrix:
        names = [f"{place}{part}" for part in parts]
        return reader.stack(names, (sum(rows),) if fused else rows, hidden, bias, halves=halves)

    def norm(part: str | None) -> Norm:
        return Norm() if part is None else reader.norm(f"{name}{part}")

    heads = reader.query_key_norm(f"{attention}q_norm", f"{attention}k_norm") if shape.query_key_norm else Norm()
    return Layer(
        attention_norm=norm(norms.attention),
        qkv=stack(attention, qkv, rows, shape.qkv_bias),
        out=reader.matrix(f"{attention}o_proj", hidden, mixed, shape.out_bias),
        feed_forward_norm=norm(norms.feed_forward),
        up=stack(mlp, up, (wide, wide), shape.feed_forward_bias, halves=True),
        down=reader.matrix(f"{mlp}down_proj", hidden, wide, shape.feed_forward_bias),
        query_key_norm=heads,
        attention_end_norm=norm(norms.attention_end),
        feed_forward_end_norm=norm(norms.feed_forward_end),
    )
