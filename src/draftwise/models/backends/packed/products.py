"""Products with matrices that oneDNN has packed, over a fixed number of rows.

A kernel for 5 rows may sum in another order than one for 1 row. So few rows are filled up to 8, always; more are cut
into wider tiles, where these were found to give the bits that 8 rows give: with AVX-512 128 rows in float32, with AMX
32 in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from draftwise.models.own import Matrix

TILE = 8
"""Rows of the smallest product; a round of up to seven drafted tokens is one."""

WIDER = (32, 128)
"""Rows of wider tiles, which a prompt fills."""


def reason_against(dtype: str) -> str | None:
    """Why this torch on this processor has no packed products of that type; None where it has."""
    operations = torch.ops.mkldnn
    if dtype not in ("float32", "bfloat16"):
        return f"it computes in float32, bfloat16, not in {dtype}"
    if not hasattr(operations, "_reorder_linear_weight"):
        return "this torch was built without oneDNN's packed products"
    if dtype == "bfloat16" and not operations._is_mkldnn_bf16_supported():
        return "oneDNN has no bfloat16 products on this processor"
    return None


def instructions(dtype: torch.dtype) -> str:
    """The widest instructions that the products can use, by torch's names."""
    amx = dtype == torch.bfloat16 and torch.cpu._is_amx_tile_supported()
    return "oneDNN, AMX" if amx else f"oneDNN, {torch.backends.cpu.get_cpu_capability()}"


def pack(matrix: Matrix) -> Matrix:
    """A matrix in the order in which the products read it."""
    return matrix._replace(weight=torch.ops.mkldnn._reorder_linear_weight(matrix.weight, TILE))


def product(x: Tensor, matrix: Matrix) -> Tensor:
    """A packed map of each row of x, [N, in] to [N, out], over as many rows as there are."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, matrix.weight, matrix.bias, "none", [], "")
    return result


class TiledProducts:
    """Packed maps whose rows' bits depend neither on how many rows there are, nor on a row's place among them."""

    def __init__(self, matrices: Iterable[Matrix]) -> None:
        """Find the widest tile for each shape of matrix, with as many threads as torch now uses."""
        self._examples = {matrix.weight.shape: matrix for matrix in matrices}
        self._threads = 0
        self._widest: dict[torch.Size, int] = {}
        self.settle()

    def settle(self) -> None:
        """Try the tiles again where the number of threads has changed since, as another may sum otherwise."""
        if self._threads != torch.get_num_threads():
            self._threads = torch.get_num_threads()
            self._widest = {shape: widest_tile(matrix) for shape, matrix in self._examples.items()}

    def __call__(self, x: Tensor, matrix: Matrix) -> Tensor:
        """As ``product``, over tiles; x may have more dimensions before the last."""
        outputs = matrix.weight.shape[0]
        if not x.numel():
            return x.new_empty((*x.shape[:-1], outputs))
        tiles = torch.split(x.reshape(-1, x.shape[-1]), self._widest[matrix.weight.shape])
        results = [_filled_product(tile, matrix) for tile in tiles]
        return (results[0] if len(results) == 1 else torch.cat(results)).view(*x.shape[:-1], outputs)


def _filled_product(x: Tensor, matrix: Matrix) -> Tensor:
    """A product over x's rows, [N, in], and rows of zeros up to the next size of a tile."""
    count = x.shape[0]
    size = next(size for size in (TILE, *WIDER) if size >= count)
    return product(x if size == count else F.pad(x, (0, 0, 0, size - count)), matrix)[:count]


def widest_tile(matrix: Matrix) -> int:
    """The widest tile that gives the bits of ``TILE`` rows: were its order another, it would show in most sums."""
    generator = torch.Generator().manual_seed(0)
    columns, widest = matrix.weight.shape[1], TILE
    for size in WIDER:
        x = torch.randn(size, columns, generator=generator).to(matrix.weight.dtype)
        expected = torch.cat([product(tile, matrix) for tile in torch.split(x, TILE)])
        if not torch.equal(product(x, matrix), expected):
            return widest
        widest = size
    return widest
