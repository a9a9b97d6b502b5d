"""A model's weights and switches where the native library finds them."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from draftwise.models.backends.native.packing import KINDS
from draftwise.models.backends.native.structures import (
    LayerStructure,
    MatrixStructure,
    ModelStructure,
    NormStructure,
)
from draftwise.models.own import Architecture, Layer, LayerKind, Matrix, Norm, Weights
from draftwise.models.own.positions import Rotary

NORMS = {"layer": 0, "rms": 1, "rms_wide": 1}
RESIDUALS = {"pre": 0, "post": 1, "sandwich": 2, "parallel": 3}
ACTIVATIONS = {
    "relu": 0,
    "gelu": 1,
    "gelu_python": 1,
    "gelu_new": 2,
    "gelu_fast": 2,
    "gelu_pytorch_tanh": 2,
    "silu": 3,
    "swish": 3,
    "quick_gelu": 4,
    "relu2": 5,
    "tanh": 6,
}
"""``NormKind``, ``Residual`` and ``Activation`` of ``source/model.h`` by the names of ``Architecture``."""


class Layout:
    """The structures, and every tensor that they point to."""

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        """Lay out a model whose matrices are packed."""
        self.structure = ModelStructure()
        self._architecture = architecture
        self._kept: list[Tensor] = []
        self._reach = 0
        self._tables: list[Tensor] = []
        self._layers = (LayerStructure * len(architecture.layers))()
        for place, layer, kind, scale in zip(
            self._layers, weights.layers, architecture.layers, architecture.scales, strict=True
        ):
            self._fill_layer(place, layer, kind, scale)
        self._fill_sizes(weights)
        self._fill_ends(weights)

    @property
    def address(self) -> int:
        """Where the structure lies."""
        return ctypes.addressof(self.structure)

    def prepare(self, capacity: int) -> None:
        """Extend the rotary tables to ``capacity`` positions: a context may be far longer than is ever used of it."""
        most = self._architecture.max_positions
        if min(capacity, most) <= self._reach:
            return
        self._reach = min(max(capacity, 2 * self._reach, 1), most)
        made: dict[Rotary, Tensor] = {}
        for place, kind in zip(self._layers, self._architecture.layers, strict=True):
            if kind.rotary is not None:
                if kind.rotary not in made:
                    # As wide as the plain twin's, which holds them in the type of its stream.
                    made[kind.rotary] = kind.rotary.table(self._reach).to(self._dtype).float().contiguous()
                place.turns = made[kind.rotary].data_ptr()
        self._tables = list(made.values())
        self.structure.turn_positions = self._reach

    def _fill_sizes(self, weights: Weights) -> None:
        shape, model = self._architecture, self.structure
        self._dtype = weights.tokens.dtype
        model.kind = KINDS[weights.head.weight.dtype]
        model.vocabulary, model.hidden, model.embedding = shape.vocab_size, shape.hidden, shape.embedding_width
        model.heads, model.shared_heads, model.head_dim = shape.heads, shape.key_value_heads, shape.head_dim
        model.feed_forward, model.positions, model.depth = shape.feed_forward, shape.max_positions, len(shape.layers)
        model.norm, model.residual = NORMS[shape.norm], RESIDUALS[shape.residual]
        model.activation, model.gated = ACTIVATIONS[shape.activation], shape.gated
        model.query_key_norm, model.final_norm = shape.query_key_norm, shape.final_norm
        model.norm_eps = shape.norm_eps
        model.embedding_scale = torch.tensor(shape.embedding_scale).to(self._dtype).item()
        model.attention_cap, model.logit_cap = shape.attention_cap or 0.0, shape.logit_cap or 0.0

    def _fill_ends(self, weights: Weights) -> None:
        shape, model = self._architecture, self.structure
        model.token_table = self._keep(weights.tokens)
        model.position_table = self._keep(weights.positions)
        model.last_norm = self._norm(weights.final_norm)
        model.head = self._matrix(weights.head, shape.vocab_size, shape.embedding_width)
        if weights.project_in is not None:
            model.project_in = self._matrix(weights.project_in, shape.hidden, shape.embedding_width)
        if weights.project_out is not None:
            model.project_out = self._matrix(weights.project_out, shape.embedding_width, shape.hidden)
        model.layers = self._layers

    def _fill_layer(self, place: LayerStructure, layer: Layer, kind: LayerKind, scale: float) -> None:
        shape = self._architecture
        mixed = shape.heads * shape.head_dim
        place.attention_norm = self._norm(layer.attention_norm)
        place.feed_forward_norm = self._norm(layer.feed_forward_norm)
        place.attention_end_norm = self._norm(layer.attention_end_norm)
        place.feed_forward_end_norm = self._norm(layer.feed_forward_end_norm)
        place.query_key_norm = self._norm(layer.query_key_norm)
        place.qkv = self._matrix(layer.qkv, mixed + 2 * shape.key_value_heads * shape.head_dim, shape.hidden)
        place.out = self._matrix(layer.out, shape.hidden, mixed)
        place.up = self._matrix(layer.up, (1 + shape.gated) * shape.feed_forward, shape.hidden)
        place.down = self._matrix(layer.down, shape.hidden, shape.feed_forward)
        place.turn_width = kind.rotary.width if kind.rotary is not None else 0
        place.window, place.scale = kind.window or 0, scale

    def _matrix(self, matrix: Matrix, outputs: int, inputs: int) -> MatrixStructure:
        pointers = [self._keep(part) for part in (matrix.weight, matrix.bias, matrix.scale)]
        return MatrixStructure(*pointers, outputs, inputs)

    def _norm(self, norm: Norm) -> NormStructure:
        """Scale and shift as whole vectors of float32."""
        return NormStructure(*[self._keep(self._whole(part)) for part in norm])

    @staticmethod
    def _whole(values: Tensor | None) -> Tensor | None:
        if values is None:
            return None
        flat = values.float().reshape(-1)
        return torch.nn.functional.pad(flat, (0, 16))

    def _keep(self, values: Tensor | None) -> int | None:
        if values is None:
            return None
        self._kept.append(values.contiguous())
        return self._kept[-1].data_ptr()
