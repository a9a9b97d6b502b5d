"""Attention over a cache that is cut into stretches of a fixed length, which are joined in order.

A program takes one stretch, one head of keys, and a tile of queries, and walks the stretch block by block; where its
queries stand it reads from the device, and what lies behind them it leaves out. Nothing that is left out or masked
changes a bit of a query: a masked score weighs 0, and a block without a visible one leaves its maximum and sums alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from draftwise.models.backends.triton.kit import OPTIONS, kernel, tl, triton

TILE = 16
"""Queries of one head of keys that a program takes: tokens, and for each the heads that share it."""

BLOCK = 64
"""Positions that are weighed at once."""

STRETCH = 128
"""Positions of a stretch in a round; while prompts are read a program walks them all."""


@kernel("steps", "span", "stretch")
def stretch_kernel(  # type: ignore[no-untyped-def]
    queries,
    entries,
    positions,
    sums,
    figures,
    steps,
    span,
    scale,
    cap,
    query_stride,
    row_stride,
    place_stride,
    value_offset,
    stretch,
    heads: tl.constexpr,
    groups: tl.constexpr,
    width: tl.constexpr,
    padded: tl.constexpr,
    window: tl.constexpr,
    capped: tl.constexpr,
    tile: tl.constexpr,
    block: tl.constexpr,
):
    """One stretch's part of the mix: the sums of weighed values, and each query's maximum and sum of weights."""
    row, head = tl.program_id(1) // heads, tl.program_id(1) % heads
    query = tl.program_id(0) * tile + tl.arange(0, tile)
    step, group = query // groups, query % groups
    real = step < steps
    at = tl.load(positions + row * steps + step, mask=real, other=0).to(tl.int32)
    first = tl.program_id(2) * stretch
    last = tl.minimum(tl.max(at, 0) + 1, first + stretch)
    lane = tl.arange(0, padded)
    in_width = lane[None, :] < width
    place_of_query = (row * steps + step)[:, None].to(tl.int64) * query_stride
    q = tl.load(
        queries + place_of_query + ((head * groups + group) * width)[:, None] + lane[None, :],
        mask=real[:, None] & in_width,
        other=0.0,
    )
    base = entries + row.to(tl.int64) * row_stride + head * width
    largest = tl.full((tile,), float("-inf"), dtype=tl.float32)
    weight = tl.zeros((tile,), dtype=tl.float32)
    mixed = tl.zeros((tile, padded), dtype=tl.float32)
    for begin in range(first, last, block):
        place = begin + tl.arange(0, block)
        there = base + place[:, None].to(tl.int64) * place_stride + lane[None, :]
        held = (place[:, None] < span) & in_width
        k = tl.load(there, mask=held, other=0.0)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        if capped:
            scores = cap * (2.0 / (1.0 + tl.exp(-2.0 * scores / cap)) - 1.0)
        seen = (place[None, :] <= at[:, None]) & real[:, None]
        if window > 0:
            seen &= place[None, :] > at[:, None] - window
        scores = tl.where(seen, scores, float("-inf"))
        new = tl.maximum(largest, tl.max(scores, 1))
        base_line = tl.where(new == float("-inf"), 0.0, new)
        shares = tl.exp(scores - base_line[:, None])
        kept = tl.exp(largest - base_line)
        v = tl.load(there + value_offset, mask=held, other=0.0)
        weight = weight * kept + tl.sum(shares, 1)
        mixed = tl.dot(shares.to(v.dtype), v, mixed * kept[:, None], input_precision="ieee")
        largest = new
    part = (tl.program_id(2) * tl.num_programs(1) + tl.program_id(1)).to(tl.int64) * (steps * groups) + query
    tl.store(sums + part[:, None] * width + lane[None, :], mixed, mask=real[:, None] & in_width)
    tl.store(figures + part * 2, largest, mask=real)
    tl.store(figures + part * 2 + 1, weight, mask=real)


@kernel("steps", "batch", "stretch")
def join_kernel(  # type: ignore[no-untyped-def]
    sums,
    figures,
    positions,
    out,
    steps,
    batch,
    stretch,
    heads: tl.constexpr,
    groups: tl.constexpr,
    width: tl.constexpr,
    padded: tl.constexpr,
):
    """Joins the stretches up to a query's own position, one after the other."""
    token, head = tl.program_id(0), tl.program_id(1)  # of all rows' tokens; of all queries' heads
    row, step = token // steps, token % steps
    lane = tl.arange(0, padded)
    inside = lane < width
    largest = float("-inf")
    weight = 0.0
    mixed = tl.zeros((padded,), dtype=tl.float32)
    count = tl.load(positions + token).to(tl.int32) // stretch + 1
    for number in range(0, count):
        pair = number * batch * heads + row * heads + head // groups
        part = pair.to(tl.int64) * (steps * groups) + step * groups + head % groups
        theirs = tl.load(figures + part * 2)
        new = tl.maximum(largest, theirs)
        base_line = tl.where(new == float("-inf"), 0.0, new)
        kept, added = tl.exp(largest - base_line), tl.exp(theirs - base_line)
        weight = weight * kept + tl.load(figures + part * 2 + 1) * added
        mixed = mixed * kept + tl.load(sums + part * width + lane, mask=inside, other=0.0) * added
        largest = new
    here = token.to(tl.int64) * heads * groups * width + head * width + lane
    tl.store(out + here, (mixed / weight).to(out.dtype.element_ty), mask=inside)


def attention(
    queries: Tensor,  # [B * T, H * Dh], rows of a wider tensor
    entries: Tensor,  # [B, span, 2, Hkv, Dh], a layer's cache as far as it may be looked at
    positions: Tensor,  # [B, T] int64, below the span
    *,
    groups: int,
    scale: float,
    window: int | None,
    cap: float | None,
    whole: bool,
) -> Tensor:
    """The mix of values by queries and keys, [B * T, H * Dh]; ``whole`` takes the cache as one stretch."""
    batch, span, _, heads, width = entries.shape
    steps = positions.shape[1]
    stretch = triton.cdiv(span, BLOCK) * BLOCK if whole else STRETCH
    parts = (triton.cdiv(span, stretch), batch * heads, steps * groups)
    sums = torch.empty(*parts, width, dtype=torch.float32, device=queries.device)
    figures = torch.empty(*parts, 2, dtype=torch.float32, device=queries.device)
    out = torch.empty(batch * steps, heads * groups * width, dtype=queries.dtype, device=queries.device)
    shape = {"heads": heads, "groups": groups, "width": width, "padded": max(16, triton.next_power_of_2(width))}
    stretch_kernel[(triton.cdiv(steps * groups, TILE), batch * heads, parts[0])](
        queries,
        entries,
        positions,
        sums,
        figures,
        steps,
        span,
        scale,
        cap or 1.0,
        queries.stride(0),
        entries.stride(0),
        entries.stride(1),
        entries.stride(2),
        stretch,
        **shape,
        window=window or 0,
        capped=cap is not None,
        tile=TILE,
        block=BLOCK,
        num_warps=4,
        num_stages=2,
        **OPTIONS,
    )
    join_kernel[(batch * steps, heads * groups)](
        sums, figures, positions, out, steps, batch, stretch, **shape, num_warps=1, **OPTIONS
    )
    return out
