"""No draft at all: plain autoregressive decoding as a case of the one loop."""

from __future__ import annotations

from torch import Tensor

from draftwise.decoding.types import Context, Draft


class NoDrafter:
    """Guesses nothing, so that every target pass writes exactly one token."""

    most = 0

    def prefill(self, context: Context) -> None:
        """Nothing to get ready."""

    def propose(self, context: Context, room: Tensor) -> Draft:
        """An empty draft, [B, 0]."""
        return Draft.empty(context)
