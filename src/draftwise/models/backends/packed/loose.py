"""The packed backend where bits don't matter: packed matrices over as many rows as there are, torch's own attention."""

from __future__ import annotations

from draftwise.models.backends.packed import prepare, why_not
from draftwise.models.backends.packed.products import instructions, product
from draftwise.models.own import Architecture, Transformer, Weights
from draftwise.models.protocol import BackendFacts

__all__ = ["build", "prepare", "why_not"]


def build(architecture: Architecture, weights: Weights, eos_token_ids: tuple[int, ...]) -> Transformer:
    """The plain model over packed matrices."""
    model = Transformer(architecture, weights, eos_token_ids)
    model.linear = product
    model.backend = BackendFacts("packed", exact=False, instructions=instructions(model.dtype))
    return model
