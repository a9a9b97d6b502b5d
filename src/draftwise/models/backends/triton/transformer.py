"""The forward pass on a CUDA device: the plain one's steps, with kernels of our own where sums are taken.

Activations and sums with the stream are part of the products before them, so a block is ten launches or so. Nothing in
a pass waits for the device, and shapes follow from the arguments alone, so whole rounds can be recorded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from draftwise.models.backends.triton.attention import attention
from draftwise.models.backends.triton.norms import layer_norm
from draftwise.models.backends.triton.products import ACTIVATIONS, FEW, MANY, product
from draftwise.models.own import Architecture, Layer, Matrix, Norm, Transformer, Weights
from draftwise.models.own.functions import soft_cap
from draftwise.models.own.window import Sight, Window, Windows, rows_at, turns_of
from draftwise.models.protocol import BackendFacts


class TritonTransformer(Transformer):
    """A decoder-only model whose rows' logits depend on their own tokens alone; see ``CausalLM``."""

    def __init__(self, architecture: Architecture, weights: Weights, eos_token_ids: tuple[int, ...]) -> None:
        """Take weights as they were read."""
        super().__init__(architecture, weights, eos_token_ids)
        self.backend = BackendFacts("triton", exact=True, instructions=_device_name(self.device))
        self._windows = DeviceWindows(architecture, weights.positions, self.dtype, self.device)
        self._reads_prompts = False
        self.linear = self._product
        if architecture.norm == "layer":
            self._norm = self._layer_norm
        self._ends_with = architecture.activation if architecture.activation in ACTIVATIONS else None

    @torch.inference_mode()
    def forward(self, tokens: Tensor, starts: Tensor, cache: Tensor, *, span: int, keep: int) -> Tensor:
        """One pass; arguments and result as in ``CausalLM.forward``.

        Passes that keep no logits read prompts: they have wider tiles, whatever the number of their rows.
        """
        self._reads_prompts = keep == 0
        return super().forward(tokens, starts, cache, span=span, keep=keep)

    def _product(self, x: Tensor, matrix: Matrix, **more: Any) -> Tensor:
        return product(x, matrix, tile=MANY if self._reads_prompts else FEW, **more)

    def _layer_norm(self, x: Tensor, norm: Norm) -> Tensor:
        return layer_norm(x, norm, self.architecture.norm_eps)

    def _pre(self, index: int, layer: Layer, x: Tensor, window: Window) -> Tensor:
        x = self._product(self._mixed(index, layer, self._norm(x, layer.attention_norm), window), layer.out, residual=x)
        return self._product(self._fed(layer, self._norm(x, layer.feed_forward_norm)), layer.down, residual=x)

    def _attention(self, index: int, layer: Layer, h: Tensor, window: Window) -> Tensor:
        return self._product(self._mixed(index, layer, h, window), layer.out)

    def _mixed(self, index: int, layer: Layer, h: Tensor, window: Window) -> Tensor:
        """The heads' mixes of values, [B * T, H * Dh], once the tokens' own entries are written."""
        shape, width = self.architecture, self._queries_width
        sight = window.sights[self._kind_of[index]]
        assert window.rows is not None and sight.mask is not None, "a device's window has both"
        qkv = self._product(h, layer.qkv)
        if self._prepares_heads:
            self._prepare_heads(qkv, layer, sight)
        window.targets[index].index_copy_(0, window.rows, qkv[:, width:])
        return attention(
            qkv[:, :width],
            sight.keys[index],
            sight.mask,
            groups=shape.groups,
            scale=self._scales[index],
            window=shape.layers[index].window,
            cap=shape.attention_cap,
            whole=self._reads_prompts,
        )

    def _fed(self, layer: Layer, h: Tensor) -> Tensor:
        """What a feed-forward has between its two maps."""
        if self.architecture.gated:
            gate, up = self._product(h, layer.up).chunk(2, -1)
            return self._activation(gate) * up
        if self._ends_with is None:
            return self._activation(self._product(h, layer.up))
        return self._product(h, layer.up, activation=self._ends_with)

    def _ungated(self, layer: Layer, h: Tensor) -> Tensor:
        return self._product(self._fed(layer, h), layer.down)

    def _gated(self, layer: Layer, h: Tensor) -> Tensor:
        return self._product(self._fed(layer, h), layer.down)

    def _logits(self, x: Tensor) -> Tensor:
        weights, cap = self._weights, self.architecture.logit_cap
        kept = x.shape[:2]
        if self.architecture.final_norm:
            x = self._norm(x, weights.final_norm)
        x = x.flatten(0, 1)
        if weights.project_out is not None:
            x = self._product(x, weights.project_out)
        logits = self._product(x, weights.head, out_dtype=torch.float32)
        logits = logits.view(*kept, logits.shape[-1])
        return logits if cap is None else soft_cap(logits, cap)


class DeviceWindows(Windows):
    """Makes windows whose sights hold a layer's cache as it lies, and as a mask each token's position."""

    def window(self, starts: Tensor, steps: int, cache: Tensor, span: int) -> Window:
        """The window of a pass: one way for any number of rows and tokens."""
        return self._addressed(starts, steps, cache, span)

    def _addressed_sight(self, positions: Tensor, cache: Tensor, window: int | None, table: Tensor | None) -> Sight:
        turns = None if table is None else turns_of(rows_at(table, positions))
        return Sight(cache.unbind(), (), positions.clamp(max=cache.shape[2] - 1), turns)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""
