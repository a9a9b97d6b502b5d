"""A model's tensors, as the forward pass wants them: fused where one product does the work of several."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

from torch import Tensor


class Norm(NamedTuple):
    """A norm's scale and shift, [D] each; it may lack either."""

    weight: Tensor | None = None
    bias: Tensor | None = None


class Matrix(NamedTuple):
    """A linear map: weight [out, in], bias [out]; an int8 weight's rows are multiples of their scale, [out]."""

    weight: Tensor
    bias: Tensor | None = None
    scale: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One block's weights.

    Attributes:
        attention_norm: before the attention, or after its sum where norms stand there.
        qkv: queries of all heads, then keys, then values, [(H + 2 Hkv) Dh, D].
        out: [D, H Dh].
        feed_forward_norm: like the attention's.
        up: [F, D]; where gated the gate's rows and then as many that it multiplies.
        down: [D, F].
        query_key_norm: a scale for each query head and then each key head, [H + Hkv, Dh].
        attention_end_norm: of what the attention adds to the stream ("sandwich").
        feed_forward_end_norm: of what the feed-forward adds.
    """

    attention_norm: Norm
    qkv: Matrix
    out: Matrix
    feed_forward_norm: Norm
    up: Matrix
    down: Matrix
    query_key_norm: Norm = Norm()
    attention_end_norm: Norm = Norm()
    feed_forward_end_norm: Norm = Norm()


@dataclass(frozen=True, slots=True)
class Weights:
    """All tensors of a model, [V, E] token vectors and [max_positions, D] position vectors among them."""

    tokens: Tensor
    layers: tuple[Layer, ...]
    head: Matrix
    final_norm: Norm = Norm()
    positions: Tensor | None = None
    project_in: Matrix | None = None
    project_out: Matrix | None = None

    @property
    def bytes_per_pass(self) -> int:
        """The bytes of every weight but the embedding tables, of which a pass reads a row a token; the head counts."""
        parts = [self.project_in, self.project_out, self.final_norm, self.head]
        for layer in self.layers:
            parts += [getattr(layer, item.name) for item in fields(layer)]
        return sum(tensor.nbytes for part in parts if part is not None for tensor in part if tensor is not None)
