"""One forward pass for every family of decoder-only transformers that we know; what differs is an ``Architecture``.

A pass on a small model is bound by the cost of each operation, so the query, key and value matrices are one, a token's
keys and values are one row of the cache, whatever all layers share is worked out once a pass (``window``), and the
switches choose functions when the model is built.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from draftwise.models.own.architecture import Architecture, Residual
from draftwise.models.own.functions import ACTIVATIONS, attention_of, norm_of, soft_cap
from draftwise.models.own.weights import Layer, Matrix, Weights
from draftwise.models.own.window import Sight, Window, Windows
from draftwise.models.protocol import BackendFacts


class Transformer:
    """A decoder-only model; see ``CausalLM`` for the contract.

    The cache is one tensor, [L, B, S + 1, 2, Hkv, Dh]: keys and values side by side. Positions at or beyond the
    capacity S, which finished rows may ask for, all write to the spare entry, and nothing reads it. Entries start as
    zeros because a masked entry still takes part in a product, with weight 0. Layers with an attention window keep all
    entries too, so that a rewind finds what it needs.
    """

    implementation = "own"
    start_token_id: int | None = None

    def __init__(self, architecture: Architecture, weights: Weights, eos_token_ids: tuple[int, ...]) -> None:
        """Choose the functions that the switches ask for."""
        self.architecture = architecture
        self.vocab_size = architecture.vocab_size
        self.max_positions = architecture.max_positions
        self.eos_token_ids = eos_token_ids
        self.device = weights.tokens.device
        self.dtype = weights.tokens.dtype
        self.bytes_per_pass = weights.bytes_per_pass
        self.backend = BackendFacts("plain", exact=False)
        self.linear: Callable[[Tensor, Matrix], Tensor] = lambda x, matrix: F.linear(x, matrix.weight, matrix.bias)
        self._weights = weights
        self._layers = weights.layers
        self._windows = Windows(architecture, weights.positions, self.dtype, self.device)
        self._kind_of = self._windows.kind_of
        self._scales = architecture.scales
        self._embedding_scale = torch.tensor(architecture.embedding_scale).to(self.dtype).item()
        self._queries_width = architecture.heads * architecture.head_dim
        self._prepares_heads = architecture.query_key_norm or any(kind.rotary for kind in architecture.layers)
        self._norm = norm_of(architecture, architecture.hidden)
        self._head_norm = norm_of(architecture, architecture.head_dim)
        self._activation = ACTIVATIONS[architecture.activation]
        self._attend = attention_of(architecture)
        self._feed_forward = self._gated if architecture.gated else self._ungated
        blocks: dict[Residual, Callable[[int, Layer, Tensor, Window], Tensor]] = {
            "pre": self._pre,
            "post": self._post,
            "sandwich": self._sandwich,
            "parallel": self._parallel,
        }
        self._block = blocks[architecture.residual]

    @torch.inference_mode()
    def new_cache(self, batch: int, capacity: int) -> Tensor:
        """A zeroed cache for ``batch`` rows of ``capacity`` positions."""
        self._windows.prepare(capacity)
        shape = self.architecture
        size = (len(shape.layers), batch, capacity + 1, 2, shape.key_value_heads, shape.head_dim)
        return torch.zeros(size, dtype=self.dtype, device=self.device)

    @torch.inference_mode()
    def forward(self, tokens: Tensor, starts: Tensor, cache: Tensor, *, span: int, keep: int) -> Tensor:
        """One pass; arguments and result as in ``CausalLM.forward``."""
        batch, steps = tokens.shape
        window = self._windows.window(starts, steps, cache, span)
        x = torch.embedding(self._weights.tokens, tokens.reshape(-1))
        if self._embedding_scale != 1:
            x = x * self._embedding_scale
        if self._weights.project_in is not None:
            x = self.linear(x, self._weights.project_in)
        if window.positions is not None:
            x = x + window.positions
        for index, layer in enumerate(self._layers):
            x = self._block(index, layer, x, window)
        return self._logits(x.view(batch, steps, -1)[:, steps - keep :])

    def _pre(self, index: int, layer: Layer, x: Tensor, window: Window) -> Tensor:
        x = x + self._attention(index, layer, self._norm(x, layer.attention_norm), window)
        return x + self._feed_forward(layer, self._norm(x, layer.feed_forward_norm))

    def _post(self, index: int, layer: Layer, x: Tensor, window: Window) -> Tensor:
        x = self._norm(x + self._attention(index, layer, x, window), layer.attention_norm)
        return self._norm(x + self._feed_forward(layer, x), layer.feed_forward_norm)

    def _sandwich(self, index: int, layer: Layer, x: Tensor, window: Window) -> Tensor:
        mixed = self._attention(index, layer, self._norm(x, layer.attention_norm), window)
        x = x + self._norm(mixed, layer.attention_end_norm)
        mixed = self._feed_forward(layer, self._norm(x, layer.feed_forward_norm))
        return x + self._norm(mixed, layer.feed_forward_end_norm)

    def _parallel(self, index: int, layer: Layer, x: Tensor, window: Window) -> Tensor:
        mixed = self._attention(index, layer, self._norm(x, layer.attention_norm), window)
        return self._feed_forward(layer, self._norm(x, layer.feed_forward_norm)) + mixed + x

    def _attention(self, index: int, layer: Layer, h: Tensor, window: Window) -> Tensor:
        width = self._queries_width
        sight = window.sights[self._kind_of[index]]
        qkv = self.linear(h, layer.qkv)  # [B * T, (H + 2 Hkv) Dh]
        if self._prepares_heads:
            self._prepare_heads(qkv, layer, sight)
        if window.rows is None:
            window.targets[index].copy_(qkv[:, width:])
        else:
            window.targets[index].index_copy_(0, window.rows, qkv[:, width:])
        mixed = self._attend(qkv[:, :width], sight.keys[index], sight.values[index], sight.mask, self._scales[index])
        return self.linear(mixed, layer.out)

    def _prepare_heads(self, qkv: Tensor, layer: Layer, sight: Sight) -> None:
        """Norm the heads of queries and keys and turn them by their positions, in place."""
        shape = self.architecture
        heads = qkv[:, : -shape.key_value_heads * shape.head_dim].view(qkv.shape[0], -1, shape.head_dim)
        if layer.query_key_norm.weight is not None:
            heads.copy_(self._head_norm(heads, layer.query_key_norm))
        if sight.turns is not None:
            cosines, sines = sight.turns
            turned = heads[..., : cosines.shape[-1]]
            exchanged = turned.roll(cosines.shape[-1] // 2, -1)
            turned.mul_(cosines).add_(exchanged.mul_(sines))

    def _ungated(self, layer: Layer, h: Tensor) -> Tensor:
        return self.linear(self._activation(self.linear(h, layer.up)), layer.down)

    def _gated(self, layer: Layer, h: Tensor) -> Tensor:
        gate, up = self.linear(h, layer.up).chunk(2, -1)
        return self.linear(self._activation(gate) * up, layer.down)

    def _logits(self, x: Tensor) -> Tensor:
        """Logits of hidden states x, [B, keep, D]."""
        weights, cap = self._weights, self.architecture.logit_cap
        if self.architecture.final_norm:
            x = self._norm(x, weights.final_norm)
        if weights.project_out is not None:
            x = self.linear(x, weights.project_out)
        logits = self.linear(x, weights.head)
        return (logits if cap is None else soft_cap(logits, cap)).float()
