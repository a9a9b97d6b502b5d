"""Where one pass stands in the cache and what its queries see: worked out once a pass, for all layers.

One row on a CPU takes slices of the cache; every other pass addresses each row's positions by tensors alone, so that
it never waits for the device and its shapes can be captured.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from draftwise.models.own.architecture import Architecture
from draftwise.models.own.positions import Rotary


class Sight(NamedTuple):
    """A pass as one kind of layer meets it."""

    keys: tuple[Tensor, ...]  # a layer's visible keys, [B, Hkv, span, Dh]
    values: tuple[Tensor, ...]
    mask: Tensor | None  # added to the scores, [G * T, span] or [B, 1, G * T, span]; None where a query sees every key
    turns: tuple[Tensor, Tensor] | None  # cosines and sines of each token's position, [B * T, 1, width] each


class Window(NamedTuple):
    """A pass as all layers meet it."""

    positions: Tensor | None  # learned position vectors, [B * T, D]
    targets: tuple[Tensor, ...]  # a layer's cache rows to write, [T, 2 Hkv Dh], or all of them, [B * (S + 1), 2 Hkv Dh]
    rows: Tensor | None  # which of all rows to write, [B * T]; None writes the targets from first to last
    sights: tuple[Sight, ...]  # one for each kind of layer


class Windows:
    """Makes the windows of a model; holds the tables of its positions."""

    def __init__(self, architecture: Architecture, learned: Tensor | None, dtype: torch.dtype, device: torch.device):
        """Take the learned positions, [max_positions, D], where the model has them."""
        self._kinds = tuple(dict.fromkeys(architecture.layers))
        self.kind_of = tuple(self._kinds.index(kind) for kind in architecture.layers)
        self._max_positions = architecture.max_positions
        self._groups = architecture.groups
        self._learned = learned
        self._dtype = dtype
        self._device = device
        self._sources: tuple[tuple[int | None, Tensor | None], ...] = ()  # each kind's window and rotary table
        self._reach = -1

    def prepare(self, capacity: int) -> None:
        """Extend the rotary tables to ``capacity`` positions: a context may be far longer than is ever used of it."""
        if min(capacity, self._max_positions) <= self._reach:
            return
        self._reach = min(max(capacity, 2 * self._reach, 1), self._max_positions)
        self._sources = tuple((kind.window, self._table(kind.rotary)) for kind in self._kinds)

    def _table(self, rotary: Rotary | None) -> Tensor | None:
        return None if rotary is None else rotary.table(self._reach).to(dtype=self._dtype, device=self._device)

    def window(self, starts: Tensor, steps: int, cache: Tensor, span: int) -> Window:
        """The window of a pass over ``steps`` tokens a row; the rest as in ``CausalLM.forward``."""
        if starts.shape[0] == 1 and self._device.type == "cpu":
            start = int(starts)
            if start + steps <= min(span, self._max_positions):
                return self._sliced(start, start + steps, cache)
        return self._addressed(starts, steps, cache, span)

    def _sliced(self, start: int, stop: int, cache: Tensor) -> Window:
        """A window for one row whose place the host knows: it ends at ``stop``, so one query needs no mask."""
        return Window(
            positions=None if self._learned is None else self._learned[start:stop],
            targets=cache.select(1, 0).narrow(1, start, stop - start).flatten(2).unbind(),
            rows=None,
            sights=tuple([self._sliced_sight(start, stop, cache, *kind) for kind in self._sources]),
        )

    def _sliced_sight(self, start: int, stop: int, cache: Tensor, window: int | None, table: Tensor | None) -> Sight:
        first = 0 if window is None else max(0, start + 1 - window)
        keys, values = cache.narrow(2, first, stop - first).transpose(2, 4).unbind(3)
        mask = None
        if stop - start > 1:
            mask = torch.full((stop - start, stop - first), -torch.inf, dtype=self._dtype).triu_(start - first + 1)
            if window is not None and window < stop:
                mask += torch.full_like(mask, -torch.inf).tril_(start - first - window)
            if self._groups > 1:
                mask = mask.repeat(self._groups, 1)
        turns = None if table is None else turns_of(table[start:stop])
        return Sight(keys.unbind(), values.unbind(), mask, turns)

    def _addressed(self, starts: Tensor, steps: int, cache: Tensor, span: int) -> Window:
        """A window for ragged rows: positions out of reach are clamped, entries out of sight are masked."""
        layers, batch, capacity = cache.shape[0], cache.shape[1], cache.shape[2] - 1
        positions = starts[:, None] + torch.arange(steps, device=self._device)  # [B, T]
        first = torch.arange(batch, device=self._device)[:, None] * (capacity + 1)
        return Window(
            positions=None if self._learned is None else rows_at(self._learned, positions),
            targets=cache.view(layers, batch * (capacity + 1), -1).unbind(),
            rows=(first + positions.clamp(max=capacity)).view(-1),
            sights=tuple([self._addressed_sight(positions, cache.narrow(2, 0, span), *kind) for kind in self._sources]),
        )

    def _addressed_sight(self, positions: Tensor, cache: Tensor, window: int | None, table: Tensor | None) -> Sight:
        keys, values = cache.transpose(2, 4).unbind(3)
        mask = self._addressed_mask(positions, cache.shape[2], window)
        turns = None if table is None else turns_of(rows_at(table, positions))
        return Sight(keys.unbind(), values.unbind(), mask, turns)

    def _addressed_mask(self, positions: Tensor, span: int, window: int | None) -> Tensor:
        """Every query sees something, also one beyond the span: its result must be a number."""
        places, queries = torch.arange(span, device=self._device), positions.clamp(max=span - 1)[:, None, :, None]
        hidden = places > queries  # [B, 1, T, span]
        if window is not None and window < span:
            hidden |= places <= queries - window
        mask = torch.zeros(hidden.shape, dtype=self._dtype, device=self._device).masked_fill_(hidden, -torch.inf)
        return mask if self._groups == 1 else mask.repeat(1, 1, self._groups, 1)


def rows_at(table: Tensor, positions: Tensor) -> Tensor:
    return torch.embedding(table, positions.clamp(max=table.shape[0] - 1).view(-1))


def turns_of(rows: Tensor) -> tuple[Tensor, Tensor]:
    cosines, sines = rows[:, None].chunk(2, -1)
    return cosines, sines
