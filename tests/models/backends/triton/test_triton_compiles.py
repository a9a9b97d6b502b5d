"""The kernels compile for devices that needn't be here, down to their machine code."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

triton = pytest.importorskip("triton", reason="the package triton is not installed")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter compiles nothing", allow_module_level=True)

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from draftwise.models.backends.triton.attention import join_kernel, stretch_kernel  # noqa: E402
from draftwise.models.backends.triton.kit import OPTIONS  # noqa: E402
from draftwise.models.backends.triton.norms import layer_norm_kernel  # noqa: E402
from draftwise.models.backends.triton.products import FEW, MANY, product_kernel, shape_of  # noqa: E402

NAMES = {"bf16": torch.bfloat16, "fp32": torch.float32}
HEADS = {"heads": 8, "groups": 4, "width": 80, "padded": 128}
FIXED = {"tile": 16, "block": 64, "window": 70, "capped": True}


def compiled(kernel: Any, capability: int, dtype: str, constants: dict[str, Any], types: dict[str, str]) -> Any:
    """The kernel for arguments of the given types; the others are numbers of 32 bits."""
    options = {name: constants.pop(name) for name in ("num_warps", "num_stages") if name in constants}
    signature = {
        name: "constexpr" if name in constants else types.get(name, "i32").replace("T", dtype)
        for name in kernel.arg_names
    }
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options | OPTIONS)


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("dtype", NAMES)
def test_every_kernel_compiles(capability: int, dtype: str) -> None:
    tensors = dict.fromkeys(("x", "weight", "bias", "residual", "out", "queries", "entries"), "*T")
    partial = {"sums": "*fp32", "figures": "*fp32", "positions": "*i64", "scale": "fp32", "cap": "fp32", "eps": "fp32"}
    types = tensors | partial
    for tile in (FEW, MANY):
        constants = shape_of(4096, 4096, NAMES[dtype], tile) | {"has_bias": True, "has_residual": True}
        made = compiled(product_kernel, capability, dtype, constants | {"activation": 5, "tile": tile}, types)
        assert made.asm["cubin"]
    assert compiled(stretch_kernel, capability, dtype, HEADS | FIXED, types).asm["cubin"]
    assert compiled(join_kernel, capability, dtype, dict(HEADS), types).asm["cubin"]
    norm = {"has_weight": True, "has_bias": True, "padded": 4096}
    assert compiled(layer_norm_kernel, capability, dtype, norm, types).asm["cubin"]
