"""Matrices as the native library reads them; the layout is in ``source/matrix.h``."""

from __future__ import annotations

import torch
from torch import Tensor

from draftwise.models.backends.native.compiled import native_library
from draftwise.models.own import Matrix
from draftwise.models.pages import empty_on_large_pages

KINDS = {torch.float32: 0, torch.bfloat16: 1, torch.int8: 2}
"""``Kind`` of ``source/matrix.h``."""


def prepare(matrix: Matrix, *, halves: bool = False) -> Matrix:
    """A matrix in panels, its bias and scale in float32 and in their order.

    Args:
        matrix: weight [out, in] of a type in ``KINDS``.
        halves: whether the rows are a gated feed-forward's gates and then as many that they open.
    """
    outputs, inputs = matrix.weight.shape
    library, kind = native_library(), KINDS[matrix.weight.dtype]
    size = library.draftwise_packed_elements(kind, outputs, inputs, halves)
    packed = empty_on_large_pages(size, matrix.weight.dtype)
    weight = matrix.weight.contiguous()
    library.draftwise_pack(kind, weight.data_ptr(), outputs, inputs, halves, packed.data_ptr())
    return Matrix(packed, _padded(matrix.bias, halves), _padded(matrix.scale, halves))


def _padded(values: Tensor | None, halves: bool) -> Tensor | None:
    """A value for each output as the packed matrix has them, float32."""
    if values is None:
        return None
    library, wide = native_library(), values.float().contiguous()
    packed = torch.empty(library.draftwise_padded_outputs(len(wide), halves), dtype=torch.float32)
    library.draftwise_pack_vector(wide.data_ptr(), len(wide), halves, packed.data_ptr())
    return packed
