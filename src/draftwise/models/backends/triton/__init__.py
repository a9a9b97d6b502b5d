"""The Triton backend: a CUDA device's pass, whose sums never depend on how many rows share it. See docs/gpu.md."""

from __future__ import annotations

import torch

from draftwise.models.backends.triton.transformer import TritonTransformer
from draftwise.models.own import Architecture, Matrix, Weights

__all__ = ["build", "prepare", "why_not"]

_DTYPES = ("float32", "bfloat16", "float16")
_OLDEST = (8, 0)


def why_not(architecture: Architecture, dtype: str, device: torch.device) -> str | None:
    """One reason why such a model can't run here, None where it can."""
    if dtype not in _DTYPES:
        return f"it computes in {', '.join(_DTYPES)}, not in {dtype}"
    if torch.version.hip is not None:
        return "it is made for CUDA devices alone"
    if torch.cuda.is_available() and torch.cuda.get_device_capability(device) < _OLDEST:
        return f"it needs a device of compute capability {_OLDEST[0]}.{_OLDEST[1]} or later"
    return None


def prepare(matrix: Matrix, *, halves: bool = False) -> Matrix:
    """The matrix itself: its rows lie one after the other, which is how they are read."""
    return matrix._replace(weight=matrix.weight.contiguous())


def build(architecture: Architecture, weights: Weights, eos_token_ids: tuple[int, ...]) -> TritonTransformer:
    """The model, on the device of its weights."""
    return TritonTransformer(architecture, weights, eos_token_ids)
