from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest
from synthetic import TOKENS, sample, timed

from draftwise.analysis.frame import VALID, Frame, frame_of, row_keys
from draftwise.bench.records import Sample
from draftwise.errors import DraftwiseError

LABELS = ("as", "sps")


def frame(samples: list[Sample], ids: Mapping[tuple[str, int, str], int] | None = None) -> Frame:
    return frame_of(samples, ids or {}, LABELS, 30)


def test_every_value_of_a_sample_stands_in_its_row() -> None:
    other = sample("b", "sps", turn=1, session=2, repeat=3, order=7, decode_ms=50, tokens=(4, 5, 6), subtask="math")
    found = frame([sample("a"), other])
    assert (found.prompts, found.labels, found.subtasks) == (("a", "b"), LABELS, ("qa", "math"))
    names = ("prompt", "turn", "label", "subtask", "session", "repeat", "order", "tokens", "passes", "fault")
    assert [getattr(found, name)[1] for name in names] == [1, 1, 1, 1, 2, 3, 7, 3, 2, VALID]
    times = ("prefill_ns", "ttft_ns", "decode_ns", "total_ns", "prompt_tokens")
    assert [getattr(found, name)[1] for name in times] == [getattr(other, name) for name in times]


def test_an_invalid_sample_stays_with_its_reason() -> None:
    cheats = [sample("a", tokens=()), sample("b", compilations=1), sample("c"), sample("d", tokens=())]
    found = frame(cheats)
    assert found.faults == ("no new tokens", "a program was compiled within the sample")
    assert found.fault.tolist() == [0, 1, VALID, 0]
    assert found.valid.tolist() == [False, False, True, False]


def test_ids_are_held_against_those_of_the_check_pass() -> None:
    ids = {("a", 0, "as"): hash(TOKENS), ("a", 0, "sps"): hash(TOKENS)}
    samples = [sample("a"), sample("a", "sps", tokens=(*TOKENS[:-1], 99)), sample("unchecked")]
    assert frame(samples, ids).same.tolist() == [True, False, True]


def test_a_subtask_s_rows_are_told() -> None:
    found = frame([sample("a"), sample("b", subtask="math")])
    assert [found.rows(part).tolist() for part in (None, "qa", "math", "poetry")] == [
        [True, True],
        [True, False],
        [False, True],
        [False, False],
    ]


def test_no_samples_make_an_empty_frame() -> None:
    found = frame([])
    assert len(found.prompt) == 0 and found.labels == LABELS and found.rows().tolist() == []


def test_a_sample_that_stands_twice_is_refused() -> None:
    taken = timed({"as": 1, "sps": 2}, 3, 2, 0)
    frame(taken)
    with pytest.raises(DraftwiseError, match="prompt 'qa-1', turn 0, has two samples of sps in session 0, repeat 1"):
        frame([*taken, taken[9]])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"method": "bild"}, "is of cell 'bild', and this run has as, sps"),
        ({"repeat": -1}, "repeat -1, which can't be below 0"),
        ({"passes": 1 << 40, "new_tokens": ()}, "passes ±1099511627776, which can't be"),
        ({"total_ns": 1 << 63}, "a number beyond 64 bits"),
    ],
)
def test_a_number_that_can_not_be_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(DraftwiseError, match=reason):
        frame([msgspec.structs.replace(sample(), **change)])


def test_rows_have_the_same_key_where_they_are_alike_and_nowhere_else() -> None:
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, size, 500) for size in (3, 1, 7, 2)]
    keys = row_keys(columns)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    assert len(set(zip(keys.tolist(), rows, strict=True))) == len(set(rows)) == len(set(keys.tolist()))


@pytest.mark.slow
def test_samples_take_little_memory() -> None:
    count = 200_000
    found = frame_of((sample(f"qa-{n}", order=n) for n in range(count)), {}, LABELS, 30)
    size = sum(
        getattr(found, name).nbytes
        for name in Frame.__slots__
        if name not in ("prompts", "labels", "subtasks", "faults")
    )
    assert size / count <= 100
