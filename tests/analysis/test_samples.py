from __future__ import annotations

from dataclasses import replace

import pytest
from synthetic import record

from draftwise.analysis.samples import agreement, by_method, outliers, pairs, unpaired


def test_an_invalid_sample_is_set_apart_with_its_reason() -> None:
    cheat = replace(record(repeat=1), new_tokens=(), rounds=())
    found = by_method([record(), cheat], ["as"], 30)["as"]
    assert list(found.valid.values()) == [record()]
    assert found.faults == ((cheat, "no new tokens"),)


def test_samples_pair_by_prompt_turn_and_repeat() -> None:
    records = [
        record(decode_ms=100),
        record(method="sps", decode_ms=50, prefill_ms=60),
        record("qa-1"),
        record("qa-1", "sps", repeat=1),
    ]
    found = by_method(records, ["as", "sps"], 30)
    (pair,) = pairs(found["as"], found["sps"])
    assert pair.decode_log_ratio == pytest.approx(0.6931, abs=1e-4)
    assert pair.total_log_ratio == pytest.approx(0.0)
    assert unpaired(found["as"], found["sps"]) == 2


def test_time_is_taken_per_token() -> None:
    records = [record(tokens=range(10)), record(method="sps", tokens=range(20))]
    found = by_method(records, ["as", "sps"], 30)
    assert pairs(found["as"], found["sps"])[0].decode_log_ratio == pytest.approx(0.6931, abs=1e-4)


def test_an_answer_agrees_only_if_it_does_in_every_repeat() -> None:
    other = tuple(range(19)) + (99,)
    records = [record(f"qa-{n}", method, repeat=r) for n in range(4) for r in range(3) for method in ("as", "sps")]
    found = by_method(records, ["as", "sps"], 30)
    assert agreement(pairs(found["as"], found["sps"])) == 1.0
    records[3] = replace(records[3], new_tokens=other)
    found = by_method(records, ["as", "sps"], 30)
    assert agreement(pairs(found["as"], found["sps"])) == 0.75
    assert agreement([]) is None


def test_a_sample_far_from_its_prompts_others_is_an_outlier_and_a_slow_prompt_is_not() -> None:
    times = [100 + repeat + 10 * prompt for prompt in range(20) for repeat in range(3)]
    times[7] *= 3
    records = [record(f"qa-{n // 3}", repeat=n % 3, decode_ms=time) for n, time in enumerate(times)]
    records += [record("qa-slow", repeat=n, decode_ms=5000 + n) for n in range(3)]
    assert outliers(by_method(records, ["as"], 30)["as"]) == (1, 1)
    assert outliers(by_method([], ["as"], 30)["as"]) == (0, 0)
