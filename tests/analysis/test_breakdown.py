from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import ENVIRONMENT, MS, check, settings, traced

from draftwise.analysis.breakdown import time_figures
from draftwise.analysis.checks import CheckTable
from draftwise.analysis.tally import SPANS
from draftwise.bench.records import RoundTrace


def table(*rounds: RoundTrace) -> CheckTable:
    text = check(method="sps", tokens=range(sum(item.emitted for item in rounds)), rounds=rounds)
    return CheckTable.of([[text]] if rounds else [], ("as", "sps"), settings(), ENVIRONMENT)


def test_the_shares_are_of_the_time_of_all_rounds() -> None:
    """Rounds of 10 and 6 ms: 4 and 0 of drafting, 4 of verifying, 1 each of judging and the engine, 0 of waiting."""
    found = time_figures(table(traced((1, 2, 3, 4), 4), traced()), None, "sps")["time"]
    assert found == {
        "draft": 4 / 16,
        "verify": 8 / 16,
        "judge": 2 / 16,
        "engine": 2 / 16,
        "wait": 0,
        "round_ns": 8 * MS,
    }


def test_a_part_without_rounds_or_times_has_no_shares() -> None:
    assert time_figures(table(), None, "sps") == {"time": None}
    assert time_figures(table(traced()), "rag", "sps") == {"time": None}
    assert time_figures(table(RoundTrace((), 0, 1, 0, 0, 0, 0, 0, 0)), None, "sps") == {"time": None}


@given(st.lists(st.tuples(*[st.integers(0, 10**12)] * 5), min_size=1, max_size=9))
def test_the_shares_sum_to_1_whatever_the_times(times: list[tuple[int, ...]]) -> None:
    found = time_figures(table(*(RoundTrace((), 0, 1, 0, *spans) for spans in times)), None, "sps")["time"]
    total = sum(map(sum, times))
    if not total:
        assert found is None
        return
    assert sum(found[name] for name in SPANS) == pytest.approx(1)
    assert found["round_ns"] == pytest.approx(total / len(times))
    for place, name in enumerate(SPANS):
        assert found[name] == pytest.approx(sum(spans[place] for spans in times) / total)
