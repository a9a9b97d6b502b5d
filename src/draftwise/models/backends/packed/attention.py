"""Attention over whole blocks of the cache, summed in order: what lies behind a query's own position changes no bit.

Queries come in tiles of a fixed number of rows. A score is one dot product, a softmax adds zeros for the entries out of
sight, and so does each block of values; none of the three depends on how many blocks there are.
"""

from __future__ import annotations

from collections.abc import Callable

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

BlockedAttention = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]


def tile_of(rows: int) -> int:
    """How many queries share a product, where so many are asked for."""
    return WIDE if rows > WIDE // 2 else TILE


def blocked_attention(architecture: Architecture) -> BlockedAttention:
    """The mix of values by queries and keys.

    Its arguments are queries [N, H * Dh] of B rows; a layer's keys and values [B * Hkv, span, Dh] in float32, the span
    in whole blocks; the mask [B, 1, R, span], R being N / B * H / Hkv in whole tiles; and the scale. Its result is
    [N, H * Dh] in the queries' type.
    """
    heads, groups, width = architecture.key_value_heads, architecture.groups, architecture.head_dim
    cap = architecture.attention_cap

    def attend(x: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scale: float) -> Tensor:
        batch, _, rows, span = mask.shape
        stacked = x.view(batch, -1, heads, groups, width).permute(0, 2, 3, 1, 4).reshape(batch * heads, -1, width)
        queries = F.pad(stacked.float(), (0, 0, 0, rows - stacked.shape[1]))
        tile = tile_of(rows)
        parts = []
        for first in range(0, rows, tile):
            scores = torch.bmm(queries[:, first : first + tile], keys.transpose(1, 2)).mul_(scale)
            scores = scores if cap is None else soft_cap(scores, cap)
            scores.view(batch, heads, tile, span).add_(mask[:, :, first : first + tile])
            parts.append(_mixed(torch.softmax(scores, -1), values))
        mixed = (parts[0] if len(parts) == 1 else torch.cat(parts, 1))[:, : stacked.shape[1]]
        return mixed.view(batch, heads, groups, -1, width).permute(0, 3, 1, 2, 4).reshape(x.shape).to(x.dtype)

    return attend


def _mixed(weights: Tensor, values: Tensor) -> Tensor:
    """Values [B * Hkv, span, Dh] mixed by weights [B * Hkv, tile, span], block after block."""
    mixed = torch.bmm(weights[..., :BLOCK], values[:, :BLOCK])
    for first in range(BLOCK, values.shape[1], BLOCK):
        mixed.baddbmm_(weights[..., first : first + BLOCK], values[:, first : first + BLOCK])
    return mixed
