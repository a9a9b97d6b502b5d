"""The plain backend: the forward pass of ``models/own`` on torch's own operations, which the others are held to.

It is not exact: torch takes other kernels for one row than for several, and they sum in other orders.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from draftwise.models.own import Architecture, Matrix, Transformer, Weights
from draftwise.models.quantised import dequantise

__all__ = ["build", "prepare", "why_not"]


def why_not(architecture: Architecture, dtype: str, device: torch.device) -> str | None:
    """It always can."""
    return None


def prepare(matrix: Matrix, *, halves: bool = False) -> Matrix:
    """The matrix itself; one of whole numbers as float32."""
    return matrix if matrix.scale is None else Matrix(dequantise(matrix.weight, matrix.scale), _wide(matrix.bias))


def build(architecture: Architecture, weights: Weights, eos_token_ids: tuple[int, ...]) -> Transformer:
    """The plain model; with matrices that were whole numbers everything is computed in float32."""
    widened = weights.head.weight.dtype != weights.tokens.dtype
    return Transformer(architecture, _wide(weights) if widened else weights, eos_token_ids)


def _wide(part: Any) -> Any:
    """Weights, or a part of them, in float32."""
    if isinstance(part, Tensor):
        return part.float()
    if is_dataclass(part) and not isinstance(part, type):
        return type(part)(**{item.name: _wide(getattr(part, item.name)) for item in fields(part)})
    if isinstance(part, tuple):
        parts = [_wide(item) for item in part]
        return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)
    return part
