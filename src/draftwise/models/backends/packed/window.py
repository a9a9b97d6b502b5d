"""Where a pass of the packed model stands in its cache: whole blocks of it, and masks in whole tiles of queries."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from draftwise.models.backends.packed.attention import BLOCK, BlockedAttention
from draftwise.models.own import Architecture
from draftwise.models.own.window import Sight, Window, Windows, rows_at, turns_of


def whole(count: int, size: int) -> int:
    """The count, rounded up to whole multiples of a size."""
    return -(-count // size) * size


class BlockedWindows(Windows):
    """Makes the windows of a model whose cache is [L, S, B, Hkv, 2, Dh], S being in whole blocks.

    Heads of all rows then lie at even distances, so that one product takes them all without a copy.
    """

    def __init__(
        self, architecture: Architecture, learned: Tensor | None, dtype: torch.dtype, attention: BlockedAttention
    ) -> None:
        """Take what ``Windows`` takes; masks fit the attention's tiles."""
        super().__init__(architecture, learned, dtype, torch.device("cpu"))
        self._attention = attention

    def window(self, starts: Tensor, steps: int, cache: Tensor, span: int) -> Window:
        """The window of a pass; one kernel for any number of tokens, so one row is no special case."""
        places, batch = cache.shape[1], cache.shape[2]
        positions = starts[:, None] + torch.arange(steps)  # [B, T]
        rows = positions.clamp(max=places - 1) * batch + torch.arange(batch)[:, None]
        seen = cache.narrow(1, 0, min(whole(span, BLOCK), places))
        return Window(
            positions=None if self._learned is None else rows_at(self._learned, positions),
            targets=cache.flatten(1, 2).unbind(),
            rows=rows.view(-1),
            sights=tuple([self._addressed_sight(positions, seen, *kind) for kind in self._sources]),
        )

    def _addressed_sight(self, positions: Tensor, cache: Tensor, window: int | None, table: Tensor | None) -> Sight:
        """Keys and values are [B * Hkv, span, Dh] for each layer, the mask [B, 1, R, span] with R in whole tiles."""
        keys, values = cache.flatten(2, 3).transpose(1, 2).unbind(3)
        mask = self._addressed_mask(positions, cache.shape[1], window)
        rows = mask.shape[2]
        mask = F.pad(mask, (0, 0, 0, whole(rows, self._attention.tile(rows)) - rows))
        turns = None if table is None else turns_of(rows_at(table, positions))
        return Sight(keys.unbind(), values.unbind(), mask, turns)
