"""The packed backend: torch's own operations over matrices that oneDNN packs, on a CPU without a compiler.

Every product runs over one of a few fixed numbers of rows, and attention over whole blocks of the cache that are summed
in order, so that plain decoding and verification give the same bits. See docs/models.md.
"""

from __future__ import annotations

import torch

from draftwise.models.backends.packed.products import pack, reason_against
from draftwise.models.backends.packed.transformer import PackedTransformer
from draftwise.models.own import Architecture, Matrix, Weights

__all__ = ["build", "prepare", "why_not"]


def why_not(architecture: Architecture, dtype: str, device: torch.device) -> str | None:
    """One reason why such a model can't run here, None where it can."""
    return reason_against(dtype)


def prepare(matrix: Matrix, *, halves: bool = False) -> Matrix:
    """The matrix in oneDNN's order."""
    return pack(matrix)


def build(architecture: Architecture, weights: Weights, eos_token_ids: tuple[int, ...]) -> PackedTransformer:
    """The model of packed matrices."""
    return PackedTransformer(architecture, weights, eos_token_ids)
