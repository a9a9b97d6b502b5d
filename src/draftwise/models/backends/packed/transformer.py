"""The plain model over packed matrices, with every product and every stretch of the cache in fixed sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from draftwise.models.backends.packed.attention import BLOCK, BlockedAttention
from draftwise.models.backends.packed.products import TiledProducts, instructions
from draftwise.models.backends.packed.window import BlockedWindows, whole
from draftwise.models.own import Architecture, Layer, Matrix, Transformer, Weights
from draftwise.models.own.window import Window
from draftwise.models.protocol import BackendFacts

_WHOLE_ROWS = ("relu", "relu2", "tanh")
"""The activations that give an element the same bits wherever it stands in a tensor."""


class PackedTransformer(Transformer):
    """A decoder-only model on the CPU whose rows' logits depend on their own tokens alone; see ``CausalLM``.

    The cache is float32 in every dtype, [L, S, B, Hkv, 2, Dh], S being in whole blocks: attention then has one kernel.
    """

    def __init__(self, architecture: Architecture, weights: Weights, eos_token_ids: tuple[int, ...]) -> None:
        """Take weights whose matrices are packed, and find out whether this machine keeps a row's bits."""
        super().__init__(architecture, weights, eos_token_ids)
        self._products = TiledProducts(_matrices(weights))
        self.linear = self._products
        self._mix = BlockedAttention(architecture)
        self._windows = BlockedWindows(architecture, weights.positions, self.dtype, self._mix)
        if architecture.activation not in _WHOLE_ROWS:
            self._activation = _by_rows(self._activation)
        self.backend = BackendFacts("packed", keeps_bits(self), instructions(self.dtype))

    @torch.inference_mode()
    def new_cache(self, batch: int, capacity: int) -> Tensor:
        """A zeroed cache for ``batch`` rows of ``capacity`` positions and a spare one."""
        self._products.settle()
        self._mix.settle()
        self._windows.prepare(capacity)
        shape = self.architecture
        return torch.zeros(
            (len(shape.layers), whole(capacity + 1, BLOCK), batch, shape.key_value_heads, 2, shape.head_dim)
        )

    def _attention(self, index: int, layer: Layer, h: Tensor, window: Window) -> Tensor:
        shape, width = self.architecture, self._queries_width
        sight = window.sights[self._kind_of[index]]
        assert window.rows is not None and sight.mask is not None, "a blocked window has both"
        qkv = self.linear(h, layer.qkv)  # [B * T, (H + 2 Hkv) Dh]
        if self._prepares_heads:
            self._prepare_heads(qkv, layer, sight)
        fresh = qkv[:, width:].view(-1, 2, shape.key_value_heads, shape.head_dim).transpose(1, 2)
        window.targets[index].index_copy_(0, window.rows, fresh.float())
        mixed = self._mix(qkv[:, :width], sight.keys[index], sight.values[index], sight.mask, self._scales[index])
        return self.linear(mixed, layer.out)


def _by_rows(activation: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The activation row by row: torch's kernels compute the last few elements of a tensor by other means."""
    return lambda x: torch.stack([activation(row) for row in x])


def _matrices(weights: Weights) -> Iterator[Matrix]:
    for layer in weights.layers:
        yield from (layer.qkv, layer.out, layer.up, layer.down)
    yield from (matrix for matrix in (weights.head, weights.project_in, weights.project_out) if matrix is not None)


@torch.inference_mode()
def keeps_bits(model: Transformer) -> bool:
    """Whether this machine's kernels give a position the same logits in a pass of its own and in larger ones.

    A text that spans two blocks of the cache is read token by token, then as two rows of one pass, behind one another.
    """
    steps = min(5, model.max_positions)
    first = min(BLOCK - 2, model.max_positions - steps)
    tokens = torch.arange(first + steps).remainder(model.vocab_size)[None]
    alone, beside = model.new_cache(1, first + steps), model.new_cache(2, first + steps + BLOCK)
    model.forward(tokens[:, :first], torch.zeros(1, dtype=torch.int64), alone, span=first, keep=0)
    model.forward(tokens[:, :first].expand(2, -1), torch.zeros(2, dtype=torch.int64), beside, span=first, keep=0)
    singly = [
        model.forward(tokens[:, place : place + 1], torch.tensor([place]), alone, span=place + 1, keep=1)
        for place in range(first, first + steps)
    ]
    together = model.forward(
        tokens[:, first:].expand(2, -1), torch.tensor([first] * 2), beside, span=first + steps, keep=steps
    )
    return bool((together == torch.cat(singly, 1)).all())
