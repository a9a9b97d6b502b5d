"""The switches of the forward pass: everything in which the families of decoder-only transformers differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from draftwise.models.own.positions import Rotary

NormName = Literal["layer", "rms", "rms_wide"]
Residual = Literal["pre", "post", "sandwich", "parallel"]


@dataclass(frozen=True, slots=True)
class LayerKind:
    """What layers may differ in within a model.

    Attributes:
        rotary: how queries and keys are turned by their position; None where positions are learned.
        window: a query at position p sees the keys of p - window + 1 to p; None for all up to p.
    """

    rotary: Rotary | None = None
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model's shape and switches.

    Attributes:
        vocab_size: V.
        hidden: D, the width of the stream.
        heads: H, query heads.
        key_value_heads: a divisor of H; each serves as many query heads in a row as it goes into H.
        head_dim: a head's width, not always D / H.
        feed_forward: the width between a feed-forward's two maps.
        max_positions: the longest context.
        layers: one kind for each layer.
        scales: for each layer what products of queries and keys are multiplied by.
        norm: layer norm; RMS norm cast to the weights' type before the scale; or after it ("rms_wide", whose scale is
            held in float32).
        norm_eps: added to the variance or mean square.
        residual: where the norms stand: before attention and feed-forward, after each sum, before and after each,
            or before each with both reading the same stream.
        activation: a name in ``functions.ACTIVATIONS``.
        gated: whether the feed-forward multiplies its activation by a second map of its input.
        query_key_norm: whether each head's queries and keys pass an RMS norm.
        norm_weights: whether norms scale and shift at all.
        qkv_bias: of the query, key and value maps.
        out_bias: of the map behind the attention.
        feed_forward_bias: of both, or all three, maps.
        learned_positions: whether a position's own vector is added to the token's.
        embedding_width: the token vectors' width, projected to D and back where they differ.
        embedding_scale: what token vectors are multiplied by, in the weights' type.
        final_norm: whether the stream passes a norm before the head.
        attention_cap: c in c tanh(s / c) for attention scores s (Gemma 2); None leaves them.
        logit_cap: the same for the logits.
        tied: whether the head is the token table.
    """

    vocab_size: int
    hidden: int
    heads: int
    key_value_heads: int
    head_dim: int
    feed_forward: int
    max_positions: int
    layers: tuple[LayerKind, ...]
    scales: tuple[float, ...]
    norm: NormName
    norm_eps: float
    residual: Residual
    activation: str
    gated: bool
    tied: bool
    embedding_width: int
    query_key_norm: bool = False
    norm_weights: bool = True
    qkv_bias: bool = False
    out_bias: bool = False
    feed_forward_bias: bool = False
    learned_positions: bool = False
    embedding_scale: float = 1.0
    final_norm: bool = True
    attention_cap: float | None = None
    logit_cap: float | None = None

    @property
    def groups(self) -> int:
        """How many query heads share a head of keys and values."""
        return self.heads // self.key_value_heads
