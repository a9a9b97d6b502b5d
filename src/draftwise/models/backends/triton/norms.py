"""Layer norm, one program a row: its sums are taken over the same lanes whatever rows stand beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from draftwise.models.backends.triton.kit import OPTIONS, kernel, tl, triton
from draftwise.models.own import Norm


@kernel()
def layer_norm_kernel(  # type: ignore[no-untyped-def]
    x, weight, bias, out, width, eps, has_weight: tl.constexpr, has_bias: tl.constexpr, padded: tl.constexpr
):
    """Writes (x - mean) / sqrt(variance + eps) * weight + bias, in float32 until then."""
    lane = tl.arange(0, padded)
    inside = lane < width
    here = tl.program_id(0).to(tl.int64) * width + lane
    values = tl.load(x + here, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(values, 0) / width
    apart = tl.where(inside, values - mean, 0.0)
    values = apart / tl.sqrt(tl.sum(apart * apart, 0) / width + eps)
    if has_weight:
        values *= tl.load(weight + lane, mask=inside, other=0.0).to(tl.float32)
    if has_bias:
        values += tl.load(bias + lane, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + here, values.to(out.dtype.element_ty), mask=inside)


def layer_norm(x: Tensor, norm: Norm, eps: float) -> Tensor:
    """Each row of x, [..., D], normed, scaled and shifted."""
    x = x.contiguous()
    out = torch.empty_like(x)
    width = x.shape[-1]
    if x.numel():
        layer_norm_kernel[(x.numel() // width,)](
            x,
            x if norm.weight is None else norm.weight,
            x if norm.bias is None else norm.bias,
            out,
            width,
            eps,
            has_weight=norm.weight is not None,
            has_bias=norm.bias is not None,
            padded=triton.next_power_of_2(width),
            num_warps=8 if width > 2048 else 4,
            **OPTIONS,
        )
    return out
