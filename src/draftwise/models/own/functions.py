"""The choices of the forward pass that are plain functions: activations, norms, attention."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from draftwise.models.own.architecture import Architecture, NormName
from draftwise.models.own.weights import Norm

Attention = Callable[[Tensor, Tensor, Tensor, Tensor | None, float], Tensor]

_gelu_tanh = partial(F.gelu, approximate="tanh")

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "gelu": F.gelu,
    "gelu_python": F.gelu,
    "gelu_new": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "silu": F.silu,
    "swish": F.silu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu2": lambda x: torch.relu_(x).square(),
    "tanh": torch.tanh,
}
"""By transformers' names; each may overwrite its argument."""


def norm_of(architecture: Architecture, width: int) -> Callable[[Tensor, Norm], Tensor]:
    """The norm over a last dimension of ``width``."""
    shape, eps = (width,), architecture.norm_eps

    def layer_norm(x: Tensor, norm: Norm) -> Tensor:
        return torch.layer_norm(x, shape, norm.weight, norm.bias, eps)

    def rms_norm(x: Tensor, norm: Norm) -> Tensor:
        """Zhang and Sennrich 2019; in half types computed in float32 and cast before it is scaled, as in Llama."""
        assert norm.weight is not None
        return torch.rms_norm(x, shape, None, eps) * norm.weight

    def rms_norm_wide(x: Tensor, norm: Norm) -> Tensor:
        """Cast after it is scaled, as in Gemma."""
        assert norm.weight is not None
        return (torch.rms_norm(x.to(norm.weight.dtype), shape, None, eps) * norm.weight).to(x.dtype)

    norms: dict[NormName, Callable[[Tensor, Norm], Tensor]] = {
        "layer": layer_norm,
        "rms": rms_norm,
        "rms_wide": rms_norm_wide,
    }
    return norms[architecture.norm]


def attention_of(architecture: Architecture) -> Attention:
    """The mix of values by queries and keys.

    Its arguments are queries [B * T, H * Dh], a layer's visible keys and values [B, Hkv, span, Dh], the mask that is
    added to the scores (None where a query sees every key), and the scale; its result is [B * T, H * Dh]. Where query
    heads share keys, those of a group stand below one another as if they were further tokens, so that no key is
    copied; the mask then has H / Hkv times as many rows.
    """
    cap, groups = architecture.attention_cap, architecture.groups
    kernel = F.scaled_dot_product_attention if cap is None else partial(_capped_attention, cap)

    def apart(x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        batch, heads, _, width = keys.shape
        queries = x.view(batch, -1, heads, width).transpose(1, 2)
        mixed = kernel(queries, keys, values, attn_mask=mask, scale=scale)
        return mixed.transpose(1, 2).reshape(-1, heads * width)

    def grouped(x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        batch, heads, _, width = keys.shape
        queries = x.view(batch, -1, heads, groups, width).permute(0, 2, 3, 1, 4).reshape(batch, heads, -1, width)
        mixed = kernel(queries, keys, values, attn_mask=mask, scale=scale).view(batch, heads, groups, -1, width)
        return mixed.permute(0, 3, 1, 2, 4).reshape(-1, heads * groups * width)

    return apart if groups == 1 else grouped


def _capped_attention(
    cap: float, queries: Tensor, keys: Tensor, values: Tensor, *, attn_mask: Tensor | None, scale: float
) -> Tensor:
    scores = soft_cap(queries @ keys.transpose(2, 3) * scale, cap)
    if attn_mask is not None:
        scores = scores + attn_mask
    return torch.softmax(scores, -1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(values.dtype) @ values


def soft_cap(x: Tensor, cap: float) -> Tensor:
    """Squeeze x into -cap to cap (Gemma 2)."""
    return torch.tanh(x / cap) * cap
