"""The native backend: a whole forward pass as one call of C++ that is compiled at first use, on a CPU.

float32, bfloat16, and int8 weights. Its sums run in one order for every row, so plain decoding and verification give
the same bits. See docs/models.md.
"""

from __future__ import annotations

import torch

from draftwise.models.backends.native.compiled import try_library
from draftwise.models.backends.native.packing import prepare
from draftwise.models.backends.native.transformer import NativeTransformer
from draftwise.models.own import Architecture, Weights

__all__ = ["build", "prepare", "why_not"]

DTYPES = ("float32", "bfloat16", "int8")


def why_not(architecture: Architecture, dtype: str, device: torch.device) -> str | None:
    """One reason why such a model can't run here, None where it can."""
    if dtype not in DTYPES:
        return f"it computes in {', '.join(DTYPES)}, not in {dtype}"
    return try_library().reason


def build(architecture: Architecture, weights: Weights, eos_token_ids: tuple[int, ...]) -> NativeTransformer:
    """The model of packed weights."""
    return NativeTransformer(architecture, weights, eos_token_ids)
