"""Products in tiles: the same bits for a row, whatever rows share the product and wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from draftwise.models.backends.packed import products
from draftwise.models.backends.packed.products import TILE, WIDER, TiledProducts, pack, widest_tile
from draftwise.models.own import Matrix

SHAPES = [(768, 768), (768, 3072), (96, 96), (33, 17)]
DTYPES = (torch.float32, torch.bfloat16)


@pytest.fixture(scope="module", params=[(shape, dtype) for shape in SHAPES for dtype in DTYPES], ids=str)
def matrix(request: pytest.FixtureRequest) -> Matrix:
    (outputs, inputs), dtype = request.param
    generator = torch.Generator().manual_seed(outputs)
    weight, bias = torch.randn(outputs, inputs, generator=generator), torch.randn(outputs, generator=generator)
    return Matrix(weight.to(dtype), bias.to(dtype))


def rows_of(matrix: Matrix, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(count, matrix.weight.shape[1], generator=generator).to(matrix.weight.dtype)


@torch.inference_mode()
def test_a_row_alone_equals_the_row_among_any_others(matrix: Matrix) -> None:
    packed = pack(matrix)
    tiled, x = TiledProducts([packed]), rows_of(matrix, 150)
    alone = torch.cat([tiled(row[None], packed) for row in x])
    for count in (*range(1, 10), 20, 33, 129, 150):
        assert torch.equal(tiled(x[:count], packed), alone[:count]), count
        assert torch.equal(tiled(x[-count:].flip(0), packed), alone[-count:].flip(0)), count
    assert torch.equal(tiled(x.view(5, 30, -1), packed), alone.view(5, 30, -1))


@torch.inference_mode()
def test_the_result_is_that_of_the_plain_product(matrix: Matrix) -> None:
    packed, x = pack(matrix), rows_of(matrix, 11)
    weight, bias = (part.double() for part in matrix[:2] if part is not None)
    true = torch.nn.functional.linear(x.double(), weight, bias)
    error = (TiledProducts([packed])(x, packed) - true).abs().max() / true.abs().max()
    assert error < (3e-6 if matrix.weight.dtype == torch.float32 else 5e-3)


def test_no_rows_give_none() -> None:
    packed = pack(Matrix(torch.ones(5, 3)))
    assert TiledProducts([packed])(torch.ones(2, 0, 3), packed).shape == (2, 0, 5)


@pytest.fixture
def skewed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Kernels for more than 32 rows that sum otherwise; gives the numbers of rows that were asked for."""
    plain, sizes = products.product, list[int]()

    def product(x: Tensor, matrix: Matrix) -> Tensor:
        sizes.append(len(x))
        return plain(x, matrix) * (1.0 if len(x) <= 32 else 1.0 + 2**-20)

    monkeypatch.setattr(products, "product", product)
    yield sizes


def test_a_width_whose_bits_differ_is_not_used(skewed: list[int]) -> None:
    packed = pack(Matrix(torch.randn(64, 64, generator=torch.Generator().manual_seed(0))))
    assert widest_tile(packed) == 32
    tiled = TiledProducts([packed])
    skewed.clear()
    tiled(torch.ones(300, 64), packed)
    assert skewed == [32] * 9 + [32] and set(skewed) <= {TILE, *WIDER}


def test_the_widths_are_tried_again_with_other_threads(skewed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    tiled = TiledProducts([pack(Matrix(torch.ones(8, 8)))])
    skewed.clear()
    tiled.settle()
    assert skewed == []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1000)
    tiled.settle()
    assert max(skewed) > TILE


def test_a_torch_without_the_products_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        pass

    monkeypatch.setattr(torch.ops, "mkldnn", Bare())
    assert "without oneDNN" in str(products.reason_against("float32"))


def test_a_processor_without_bfloat16_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    class Narrow:
        _reorder_linear_weight = _linear_pointwise = None

        @staticmethod
        def _is_mkldnn_bf16_supported() -> bool:
            return False

    monkeypatch.setattr(torch.ops, "mkldnn", Narrow())
    assert products.reason_against("float32") is None
    assert "no bfloat16 products on this processor" in str(products.reason_against("bfloat16"))
