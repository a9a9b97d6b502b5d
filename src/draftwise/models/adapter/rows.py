"""One cache for each row, of transformers' making, that is cut to where the next pass starts.

A row is a pass of its own, so ragged rows equal rows alone by construction. Every attention layer keeps all of its
keys and values, also in models with a sliding window: a layer that keeps only its window couldn't be rewound, and the
window is in the mask that transformers makes for each pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from torch import Tensor

from draftwise.models.adapter.support import unrewindable


@dataclass(slots=True)
class Row:
    """What a row's passes have left behind."""

    cache: Any  # a transformers Cache
    length: int = 0  # positions in it
    encoded: Any = None  # what the encoder made of the row's prompt

    def rewind(self, start: int) -> None:
        """Cut off the positions from ``start`` on."""
        if start < self.length:
            self.cache.crop(start - self.length)
            self.length = start


def row_cache(config: Any, capacity: int) -> Any:
    """An empty cache for one row of a model, with room for ``capacity`` positions and for more if need be.

    Raises:
        DraftwiseError: one of the model's layers needs a cache that can't be cut.
    """
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    made: Any = DynamicCache(config=config)
    # The config of an encoder-decoder may count the encoder's layers, which may be fewer.
    made.layer_class_to_replicate = partial(_layer_class(), capacity)
    for index, layer in enumerate(made.layers):
        if type(layer) in (DynamicLayer, DynamicSlidingWindowLayer):
            made.layers[index] = _layer_class()(capacity)
        elif not getattr(layer, "is_croppable", isinstance(layer, DynamicLayer)):
            raise unrewindable(config.name_or_path, config, f"it keeps a {type(layer).__name__}, which can't be cut")
    return made


@cache
def _layer_class() -> Any:
    """Made at the first use, because transformers may not be there."""
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
        """A ``DynamicLayer`` that writes in place: that one copies all it holds whenever it grows."""

        def __init__(self, capacity: int) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.room = capacity
            self.buffers: tuple[Tensor, ...] = ()

        def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
            """Add [1, H, T, Dh] keys and values; returns those of all positions, views of the buffers."""
            held = self.get_seq_length()
            stop = held + key_states.shape[-2]
            if not self.buffers or stop > self.room:
                self._grow(held, stop, key_states, value_states)
            for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
                buffer[..., held:stop, :] = states
            keys, values = (buffer[..., :stop, :] for buffer in self.buffers)
            self.keys, self.values = keys, values
            return keys, values

        def _grow(self, held: int, stop: int, *states: Tensor) -> None:
            self.room = max(self.room, 2 * held, stop)
            larger = tuple(new.new_empty((*new.shape[:-2], self.room, new.shape[-1])) for new in states)
            for buffer, old in zip(larger, self.buffers, strict=False):
                buffer[..., :held, :] = old[..., :held, :]
            self.buffers = larger
            self.dtype, self.device = states[0].dtype, states[0].device
            self.is_initialized = True

    return RoomyLayer
