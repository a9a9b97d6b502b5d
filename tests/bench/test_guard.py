"""Planted cheats: each is a way in which a run could show a speed that it never had."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from draftwise.bench.guard import check_rate, sample_fault
from draftwise.bench.records import Sample
from draftwise.errors import DraftwiseError

HONEST = Sample(
    prompt_id="a",
    subtask="qa",
    turn=0,
    method="sps",
    session=0,
    repeat=0,
    order=0,
    seed=0,
    prompt_tokens=100,
    new_tokens=(1, 2, 3, 4),
    passes=2,
    compilations=0,
    prefill_ns=10,
    ttft_ns=20,
    decode_ns=80,
    total_ns=95,
)


def test_an_honest_sample_passes() -> None:
    assert sample_fault(HONEST, 30) is None


@pytest.mark.parametrize(
    ("cheat", "reason"),
    [
        ({"new_tokens": ()}, "no new tokens"),
        ({"new_tokens": (), "passes": 0}, "no new tokens"),
        ({"new_tokens": tuple(range(104))}, "104 new tokens, and the limit is 30"),
        ({"passes": 0}, "0 target passes for 4 new tokens"),
        ({"passes": 5}, "5 target passes for 4 new tokens"),
        ({"decode_ns": 0}, "not above zero"),
        ({"prefill_ns": -1}, "not above zero"),
        ({"total_ns": 89}, "shorter than its parts"),
        ({"ttft_ns": 5}, "time to the first token"),
        ({"ttft_ns": 96}, "time to the first token"),
        ({"compilations": 1}, "a program was compiled within the sample"),
    ],
)
def test_a_sample_that_contradicts_itself_is_refused(cheat: dict[str, Any], reason: str) -> None:
    assert reason in str(sample_fault(msgspec.structs.replace(HONEST, **cheat), 30))


def test_a_rate_that_memory_forbids_is_refused() -> None:
    with pytest.raises(DraftwiseError, match="29,904,890 tokens/s cannot be.*30.0 GB/s allows 2,000"):
        check_rate("sps", 29_904_890, 1.0, 14_952_445, 30e9, 30_000_000)


def test_the_limit_is_bandwidth_by_bytes_times_acceptance_length() -> None:
    check_rate("as", 1000, 1.0, 1000, 30e9, 30_000_000)
    check_rate("as", 1099, 1.0, 1099, 30e9, 30_000_000)
    with pytest.raises(DraftwiseError):
        check_rate("as", 1101, 1.0, 1101, 30e9, 30_000_000)
    check_rate("sps", 2100, 1.0, 1050, 30e9, 30_000_000)
    with pytest.raises(DraftwiseError):
        check_rate("sps", 2100, 1.0, 1500, 30e9, 30_000_000)


def test_without_a_bandwidth_nothing_is_checked() -> None:
    check_rate("as", 10**9, 1.0, 10**9, None, 1)
    check_rate("as", 10**9, 1.0, 10**9, 1.0, None)
