from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from draftwise.decoding.random import Stream, uniforms

LARGEST_SEED = 2**63 - 1


def sample(seeds: Tensor | None = None, lengths: Tensor | None = None, stream: Stream = Stream.NEXT) -> Tensor:
    count = 100_000
    seeds = torch.arange(count) if seeds is None else seeds
    lengths = torch.full((count,), 7) if lengths is None else lengths
    return uniforms(seeds, lengths, stream, 0, 1)[:, 0]


def bins(u: Tensor, count: int = 256) -> float:
    """p-value of a χ² test of equal shares; unlike a KS test it sees a lattice and a gap."""
    return float(stats.chisquare(torch.histc(u, count, 0, 1).numpy()).pvalue)


@pytest.mark.parametrize("stream", list(Stream))
@pytest.mark.parametrize("along", ["seeds", "lengths", "large seeds"])
def test_numbers_are_uniform_along_every_part_of_the_key(along: str, stream: Stream) -> None:
    count = torch.arange(100_000)
    seeds = {"seeds": count, "lengths": torch.full_like(count, 3), "large seeds": LARGEST_SEED - count}[along]
    lengths = count + 1 if along == "lengths" else torch.full_like(count, 3)
    u = sample(seeds, lengths, stream)
    assert bool(((u >= 0) & (u < 1)).all())
    assert stats.kstest(u.numpy(), "uniform").pvalue > 1e-3
    assert bins(u) > 1e-3


def test_numbers_are_uniform_along_places() -> None:
    u = uniforms(torch.tensor([5]), torch.tensor([9]), Stream.DRAFT, 0, 100_000)[0]
    assert stats.kstest(u.numpy(), "uniform").pvalue > 1e-3
    assert bins(u) > 1e-3


def test_every_bit_of_a_number_is_fair() -> None:
    whole = (sample() * 2.0**53).long()
    ones = torch.stack([(whole >> bit & 1).sum() for bit in range(53)])
    assert min(stats.binomtest(int(count), 100_000).pvalue for count in ones) > 1e-4


NEIGHBOURS = {
    "the next seed": (1, 0, 0, Stream.NEXT),
    "the next length": (0, 1, 0, Stream.NEXT),
    "the next place": (0, 0, 1, Stream.NEXT),
    "the draft's stream": (0, 0, 0, Stream.DRAFT),
    "the acceptance's stream": (0, 0, 0, Stream.ACCEPT),
    "seed and length the other way": (1, -1, 0, Stream.NEXT),
    "four places on": (0, 0, 4, Stream.DRAFT),
}


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_numbers_of_neighbouring_keys_are_independent(neighbour: str) -> None:
    seed, length, place, stream = NEIGHBOURS[neighbour]
    seeds, lengths = torch.arange(100_000), torch.arange(100_000) % 50 + 2
    here = uniforms(seeds, lengths, Stream.NEXT, 0, 1)[:, 0]
    there = uniforms(seeds + seed, lengths + length, stream, place, 1)[:, 0]
    cells = (here * 16).long() * 16 + (there * 16).long()
    assert stats.chisquare(cells.bincount(minlength=256).numpy()).pvalue > 1e-3


def test_no_two_decisions_share_a_number() -> None:
    seeds, lengths = torch.arange(40).repeat_interleave(40), torch.arange(40).repeat(40)
    numbers = torch.cat([uniforms(seeds, lengths, stream, 0, 16).flatten() for stream in Stream])
    assert numbers.unique().numel() == numbers.numel() == 40 * 40 * 16 * 3


def test_a_number_is_a_function_of_its_key_alone() -> None:
    seeds, lengths = torch.tensor([3, 0, LARGEST_SEED, 3]), torch.tensor([5, 1, 2048, 5])
    together = uniforms(seeds, lengths, Stream.ACCEPT, 0, 6)
    torch.manual_seed(1)
    for row in range(4):
        for place in range(6):
            alone = uniforms(seeds[row : row + 1], lengths[row : row + 1], Stream.ACCEPT, place, 1)
            assert alone.item() == together[row, place].item()
    assert together[0].tolist() == together[3].tolist()


def test_numbers_stay_the_same_from_release_to_release() -> None:
    u = uniforms(torch.tensor([0, 42]), torch.tensor([1, 17]), Stream.NEXT, 0, 1)[:, 0]
    assert (u * 2.0**53).long().tolist() == [350396495531874, 5809347749777016]


def _splitmix(value: int) -> int:
    """The finaliser in plain integers (Steele, Lea and Flood 2014), the slow reading of the tensor code."""
    mask = (1 << 64) - 1
    value = value + 0x9E3779B97F4A7C15 & mask
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & mask
    value = (value ^ value >> 27) * 0x94D049BB133111EB & mask
    return value ^ value >> 31


def test_the_hash_is_splitmix64_in_plain_integers() -> None:
    for seed, length, place, stream in [(0, 1, 0, 3), (42, 17, 5, 1), (LARGEST_SEED, 2048, 9, 2)]:
        key = _splitmix(_splitmix(_splitmix(seed) ^ length) ^ (place * 4 + stream))
        u = uniforms(torch.tensor([seed]), torch.tensor([length]), Stream(stream), place, 1)
        assert u.item() == (key >> 11) * 2.0**-53
