"""Attention in blocks: the bits of a query alone, for any number of queries, rows and blocks of the cache."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_families import directory
from torch import Tensor

from draftwise.models.backends.packed import attention
from draftwise.models.backends.packed.attention import BLOCK, TILE, WIDE, BlockedAttention, widest_tile
from draftwise.models.families import own_architecture
from draftwise.models.files import read_json
from draftwise.models.own import Architecture

HEADS = 2


def shape_of(width: int, groups: int, cap: float | None = None) -> Architecture:
    known = own_architecture(read_json(directory("llama") / "config.json"))
    return replace(known, head_dim=width, heads=HEADS * groups, key_value_heads=HEADS, attention_cap=cap)


def drawn(*size: int, seed: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def attended(attend: BlockedAttention, queries: Tensor, groups: int, places: Tensor, cache: Tensor) -> Tensor:
    """Queries [B, T, H * Dh] at places [B, T] over a cache [2, B * Hkv, span, Dh]."""
    batch, steps = places.shape
    rows, span = steps * groups, cache.shape[2]
    mask = torch.zeros(batch, 1, -(-rows // attend.tile(rows)) * attend.tile(rows), span)
    hidden = torch.arange(span) > places[:, None, :, None]
    mask[:, :, :rows] = mask[:, :, :rows].masked_fill(hidden.repeat(1, 1, groups, 1), -torch.inf)
    return attend(queries.flatten(0, 1), *cache, mask, 0.3).view(queries.shape)


@pytest.mark.parametrize("width", [8, 64, 80, 256])
@pytest.mark.parametrize(("groups", "cap"), [(1, None), (1, 5.0), (4, None)])
def test_a_query_alone_equals_the_query_among_any_others(width: int, groups: int, cap: float | None) -> None:
    attend = BlockedAttention(shape_of(width, groups, cap))
    queries, cache = drawn(2, 50, HEADS * groups * width, seed=1), drawn(2, 2 * HEADS, 5 * BLOCK, width, seed=2)
    places = torch.stack([torch.arange(50) + 100, torch.arange(50) + 3])
    alone = [
        torch.cat(
            [
                attended(attend, queries[row, step][None, None], groups, places[row, step][None, None], seen)
                for step in range(50)
                for seen in (
                    cache[:, row * HEADS : (row + 1) * HEADS, : (int(places[row, step]) // BLOCK + 1) * BLOCK],
                )
            ],
            1,
        )[0]
        for row in range(2)
    ]
    for steps in (1, 2, 5, 8, 9, 16, 50):
        together = attended(attend, queries[:, :steps], groups, places[:, :steps], cache)
        for row in range(2):
            assert torch.equal(together[row], alone[row][:steps]), (steps, row)


def test_the_mix_is_that_of_a_softmax() -> None:
    attend = BlockedAttention(shape_of(16, 1))
    queries, cache = drawn(1, 40, HEADS * 16, seed=3), drawn(2, HEADS, 2 * BLOCK, 16, seed=4)
    places = torch.arange(40)[None] + 60
    found = attended(attend, queries, 1, places, cache).view(40, HEADS, 16).transpose(0, 1)
    hidden = torch.arange(2 * BLOCK) > places[0][:, None]
    scores = queries.view(40, HEADS, 16).transpose(0, 1).double() @ cache[0].double().mT * 0.3
    expected = torch.softmax(scores.masked_fill(hidden, -torch.inf), -1) @ cache[1].double()
    assert (found - expected).abs().max() < 1e-6


@pytest.mark.parametrize("part", ["scored", "mixed_by"])
def test_wide_tiles_whose_bits_differ_are_not_used(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain: Any = getattr(attention, part)

    def skewed(left: Tensor, right: Tensor) -> Tensor:
        result: Tensor = plain(left, right) * (1.0 if left.shape[1] <= TILE else 1.0 + 2**-20)
        return result

    monkeypatch.setattr(attention, part, skewed)
    assert widest_tile(64) == TILE
    assert BlockedAttention(shape_of(64, 1)).tile(1000) == TILE


def test_a_prompt_takes_wide_tiles_and_a_round_narrow_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "widest_tile", lambda width: WIDE)
    attend = BlockedAttention(shape_of(64, 1))
    assert [attend.tile(rows) for rows in (1, 8, 32, 33, 500)] == [TILE, TILE, TILE, WIDE, WIDE]
