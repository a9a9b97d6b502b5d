"""Attention over whole blocks of the cache, summed in order: what lies behind a query's own position changes no bit.

Queries come in tiles of a fixed number of rows, and every product is of a tile and one block, so that its kernel
depends on nothing else. A softmax adds zeros for the entries out of sight, and so does each block of values.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from draftwise.models.own import Architecture
from draftwise.models.own.functions import soft_cap

BLOCK = 64
"""Positions that are summed at once."""

TILE = 8
"""Queries of one head that share a product."""

WIDE = 64
"""The same in a prompt, where that gives the same bits."""


class BlockedAttention:
    """The mix of values by queries and keys, in fixed sizes."""

    def __init__(self, architecture: Architecture) -> None:
        """Find the widest tile for the heads' width, with as many threads as torch now uses."""
        self._heads, self._groups = architecture.key_value_heads, architecture.groups
        self._width, self._cap = architecture.head_dim, architecture.attention_cap
        self._threads = 0
        self._widest = TILE
        self.settle()

    def settle(self) -> None:
        """Try the tiles again where the number of threads has changed since."""
        if self._threads != torch.get_num_threads():
            self._threads = torch.get_num_threads()
            self._widest = widest_tile(self._width)

    def tile(self, rows: int) -> int:
        """How many queries share a product, where so many are asked for."""
        return self._widest if rows > WIDE // 2 else TILE

    def __call__(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scale: float) -> Tensor:
        """The mix, [N, H * Dh], in the queries' type.

        Args:
            x: queries of B rows, [N, H * Dh].
            keys: of one layer, [B * Hkv, span, Dh] in float32, the span in whole blocks.
            values: like the keys.
            mask: added to the scores, [B, 1, R, span], R being N / B * H / Hkv in whole tiles.
            scale: what products of queries and keys are multiplied by.
        """
        batch, _, rows, span = mask.shape
        heads, groups, width = self._heads, self._groups, self._width
        stacked = x.view(batch, -1, heads, groups, width).permute(0, 2, 3, 1, 4).reshape(batch * heads, -1, width)
        queries = F.pad(stacked.float(), (0, 0, 0, rows - stacked.shape[1]))
        tile = self.tile(rows)
        parts = []
        for first in range(0, rows, tile):
            scores = scored(queries[:, first : first + tile], keys).mul_(scale)
            scores = scores if self._cap is None else soft_cap(scores, self._cap)
            scores.view(batch, heads, tile, span).add_(mask[:, :, first : first + tile])
            parts.append(mixed_by(torch.softmax(scores, -1), values))
        mixed = (parts[0] if len(parts) == 1 else torch.cat(parts, 1))[:, : stacked.shape[1]]
        return mixed.view(batch, heads, groups, -1, width).permute(0, 3, 1, 2, 4).reshape(x.shape).to(x.dtype)


def scored(queries: Tensor, keys: Tensor) -> Tensor:
    """Products [P, tile, span] of queries [P, tile, Dh] and keys [P, span, Dh], block by block."""
    return torch.cat([torch.bmm(queries, block.transpose(1, 2)) for block in torch.split(keys, BLOCK, 1)], 2)


def mixed_by(weights: Tensor, values: Tensor) -> Tensor:
    """Values [P, span, Dh] mixed by weights [P, tile, span], block after block."""
    mixed = torch.bmm(weights[..., :BLOCK], values[:, :BLOCK])
    for first in range(BLOCK, values.shape[1], BLOCK):
        mixed += torch.bmm(weights[..., first : first + BLOCK], values[:, first : first + BLOCK])
    return mixed


def widest_tile(width: int) -> int:
    """``WIDE`` where so many queries of that width get the bits that they get in tiles of ``TILE``."""
    generator = torch.Generator().manual_seed(0)
    queries, weights = (torch.randn(2, WIDE, size, generator=generator) for size in (width, 2 * BLOCK))
    entries = torch.randn(2, 2 * BLOCK, width, generator=generator)
    for work, left, right in ((scored, queries, entries), (mixed_by, weights, entries)):
        narrow = [work(tile, right) for tile in torch.split(left, TILE, 1)]
        if not torch.equal(work(left, right), torch.cat(narrow, 1)):
            return TILE
    return WIDE
