"""Matrices as whole numbers: weight-only int8, symmetric, with one scale for each output."""

from __future__ import annotations

import torch
from torch import Tensor

INT8 = "int8"
"""The dtype whose matrices are whole numbers; tables, norms and biases are bfloat16."""

_LARGEST = 127


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest whole multiples of a scale for each row.

    Args:
        weight: [out, in], floating-point.

    Returns:
        int8 [out, in] from -127 to 127, and float32 scales [out]: a row's largest magnitude by 127, and 1 for a row of
        zeros.
    """
    scale = weight.abs().amax(1).float() / _LARGEST
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return torch.round(weight / scale[:, None]).clamp_(-_LARGEST, _LARGEST).to(torch.int8), scale


def dequantise(weight: Tensor, scale: Tensor) -> Tensor:
    """Float32 [out, in] of whole numbers and their rows' scales."""
    return weight.float().mul_(scale[:, None])
