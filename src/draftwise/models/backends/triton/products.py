"""Products of few rows with a large matrix, read once and summed in one order for every number of rows.

A program makes ``FEW`` rows of the result, one tile, and some of its columns, over the whole length of the sum. Rows of
a tile that aren't there count as zeros, so a row's bits follow from the row and the matrix alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from draftwise.models.backends.triton.kit import OPTIONS, kernel, tl, triton
from draftwise.models.own import Matrix

FEW, MANY = 16, 64
"""Rows of a tile in a round, and while prompts are read."""

ACTIVATIONS = {
    "": 0,
    "relu": 1,
    "relu2": 2,
    "silu": 3,
    "swish": 3,
    "gelu": 4,
    "gelu_python": 4,
    "gelu_new": 5,
    "gelu_fast": 5,
    "gelu_pytorch_tanh": 5,
    "quick_gelu": 6,
}
"""Those that a product can end with, by transformers' names and the kernel's numbers."""


@kernel()
def activated(x, which: tl.constexpr):  # type: ignore[no-untyped-def]
    """The activation of that number."""
    if which == 1:
        x = tl.maximum(x, 0.0)
    elif which == 2:
        x = tl.maximum(x, 0.0)
        x = x * x
    elif which == 3:
        x = x / (1.0 + tl.exp(-x))
    elif which == 4:
        x = 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))
    elif which == 5:
        inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
        x = x / (1.0 + tl.exp(-2.0 * tl.maximum(inner, -40.0)))
    elif which == 6:
        x = x / (1.0 + tl.exp(-1.702 * x))
    return x


@kernel("rows")
def product_kernel(  # type: ignore[no-untyped-def]
    x,
    weight,
    bias,
    residual,
    out,
    rows,
    columns,
    depth,
    stride,
    has_bias: tl.constexpr,
    has_residual: tl.constexpr,
    activation: tl.constexpr,
    tile: tl.constexpr,
    wide: tl.constexpr,
    deep: tl.constexpr,
):
    """Writes activation(x weight^T + bias) + residual, [rows, columns], each step rounded to the weights' type.

    Tiles of rows are the faster axis, so that programs that read the same part of the matrix run side by side.
    """
    row = tl.program_id(0) * tile + tl.arange(0, tile)
    column = tl.program_id(1) * wide + tl.arange(0, wide)
    step = tl.arange(0, deep)
    is_row, is_column = row[:, None] < rows, column[:, None] < columns
    xs = x + row[:, None] * stride + step[None, :]
    weights = weight + column[:, None].to(tl.int64) * depth + step[None, :]
    total = tl.zeros((tile, wide), dtype=tl.float32)
    for first in range(0, depth, deep):
        inside = step[None, :] < depth - first
        a = tl.load(xs + first, mask=is_row & inside, other=0.0)
        b = tl.load(weights + first, mask=is_column & inside, other=0.0)
        total = tl.dot(a, tl.trans(b), total, input_precision="ieee")
    dtype = weight.dtype.element_ty
    if has_bias:
        total += tl.load(bias + column, mask=column < columns, other=0.0)[None, :].to(tl.float32)
    total = activated(total.to(dtype).to(tl.float32), activation)
    here = row[:, None].to(tl.int64) * columns + column[None, :]
    inside = is_row & (column[None, :] < columns)
    if has_residual:
        total = total.to(dtype).to(tl.float32)
        total += tl.load(residual + here, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + here, total.to(dtype).to(out.dtype.element_ty), mask=inside)


def product(
    x: Tensor,  # [N, in]
    matrix: Matrix,
    *,
    tile: int = FEW,
    activation: str = "",
    residual: Tensor | None = None,  # [N, out]
    out_dtype: torch.dtype | None = None,
) -> Tensor:
    """A map of each row of x, [N, out], its activation, and what it is added to."""
    rows, depth = x.shape
    columns = matrix.weight.shape[0]
    out = torch.empty(rows, columns, dtype=out_dtype or x.dtype, device=x.device)
    if not rows:
        return out
    shape = shape_of(columns, depth, x.dtype, tile)
    grid = (triton.cdiv(rows, tile), triton.cdiv(columns, shape["wide"]))
    product_kernel[grid](
        x,
        matrix.weight,
        x if matrix.bias is None else matrix.bias,
        x if residual is None else residual,
        out,
        rows,
        columns,
        depth,
        x.stride(0),
        has_bias=matrix.bias is not None,
        has_residual=residual is not None,
        activation=ACTIVATIONS[activation],
        tile=tile,
        **shape,
        **OPTIONS,
    )
    return out


def shape_of(columns: int, depth: int, dtype: torch.dtype, tile: int) -> dict[str, Any]:
    """A kernel's blocks, which follow from the matrix and the kind of pass, never from the number of rows.

    A matrix of few columns is cut fine, for the more programs to read it at once. These figures are not yet measured.
    """
    full = dtype == torch.float32
    if tile == MANY:
        return {"wide": 64, "deep": 32 if full else 64, "num_warps": 4, "num_stages": 3}
    wide = 16 if columns <= 16384 else 32
    deep = 64 if full else 128 if depth < 4096 else 256
    return {"wide": wide, "deep": deep, "num_warps": 4, "num_stages": 4}
