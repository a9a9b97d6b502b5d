"""One cache for each row, of transformers' making, that is cut to where the next pass starts.

A row is a pass of its own, so ragged rows equal rows alone by construction. Every attention layer keeps all of its
keys and values, also in models with a sliding window: a layer that keeps only its window couldn't be rewound, and the
window is in the mask that transformers makes for each pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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


def growing_cache(config: Any) -> Any:
    """An empty cache for one row of a model.

    Raises:
        DraftwiseError: one of the model's layers needs a cache that can't be cut.
    """
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    cache = DynamicCache(config=config)
    for index, layer in enumerate(cache.layers):
        if type(layer) is DynamicSlidingWindowLayer:
            cache.layers[index] = DynamicLayer()  # type: ignore[no-untyped-call]
        elif not getattr(layer, "is_croppable", isinstance(layer, DynamicLayer)):
            raise unrewindable(config.name_or_path, config, f"it keeps a {type(layer).__name__}, which can't be cut")
    return cache
