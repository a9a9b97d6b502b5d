from __future__ import annotations

import msgspec
import numpy as np
import pytest
from paired_runs import make_run
from synthetic import questions, timed

from draftwise.analysis.drift import drift, shown
from draftwise.analysis.summary import summarize


def logs(prompts: int, sessions: int, repeats: int, seed: int, *, moods: float = 0.0, slow: float = 0.0) -> np.ndarray:
    """Prompts scatter by 0.3, samples by 0.05, sessions by their moods; the last repeat is slow as a whole."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.05, (prompts, sessions, repeats)) + rng.normal(0, 0.3, (prompts, 1, 1))
    values += rng.normal(0, moods, (1, sessions, 1))
    values[:, :, -1] += slow
    return values


@pytest.mark.parametrize(("sessions", "repeats", "moods"), [(1, 3, 0.0), (3, 3, 0.2), (1, 10, 0.0)])
def test_chance_alone_is_told_as_often_as_it_says(sessions: int, repeats: int, moods: float) -> None:
    chances = [drift(logs(12, sessions, repeats, seed, moods=moods)).chance for seed in range(1000)]  # type: ignore[union-attr]
    assert np.mean(np.asarray(chances) < 0.05) == pytest.approx(0.05, abs=0.022)
    assert np.mean(np.asarray(chances) < 0.5) == pytest.approx(0.5, abs=0.05)


def test_a_repeat_that_is_slow_as_a_whole_is_found_with_its_size() -> None:
    found = drift(logs(30, 1, 3, 0, slow=0.3))
    assert found is not None and shown(found)
    assert found.high - found.low == pytest.approx(0.3, abs=0.03)


def test_a_difference_of_sessions_is_no_drift_within_them() -> None:
    assert not shown(drift(logs(30, 3, 3, 0, moods=0.5)))


def test_a_small_drift_is_passed_over_however_sure_it_is() -> None:
    found = drift(logs(10_000, 1, 3, 0, slow=0.01))
    assert found is not None and found.chance < 1e-6 and not shown(found)


def test_prompts_that_lack_a_sample_are_left_out() -> None:
    values = logs(30, 1, 3, 0, slow=0.3)
    some = values.copy()
    some[3, 0, 1] = np.nan
    assert drift(some) == drift(np.delete(values, 3, axis=0))


@pytest.mark.parametrize("shape", [(1, 1, 3), (9, 1, 1), (0, 1, 3), (9, 0, 3)])
def test_where_nothing_can_be_told_nothing_is(shape: tuple[int, int, int]) -> None:
    assert drift(np.zeros(shape)) is None


def test_repeats_that_are_all_alike_do_not_drift() -> None:
    found = drift(np.tile(np.arange(5.0)[:, None, None], (1, 2, 3)))
    assert found is not None and found.chance == 1.0


def test_a_run_on_a_machine_that_drifts_says_so() -> None:
    samples = [
        msgspec.structs.replace(
            item,
            decode_ns=item.decode_ns * (1 + item.repeat),
            total_ns=item.total_ns + item.decode_ns * item.repeat,
        )
        for item in timed({"as": 1, "as*": 1, "sps": 2}, 20, 3, 0)
    ]
    warnings = summarize(make_run(samples, questions(20), labels=("as", "as*", "sps")))["warnings"]
    (said,) = [line for line in warnings if "drift" in line]
    assert said.startswith("The machine drifted: by repeat AS decoded at ")
    assert "speed-ups are paired and hardly feel it" in said
    steady = summarize(
        make_run(timed({"as": 1, "as*": 1, "sps": 2}, 20, 3, 0), questions(20), labels=("as", "as*", "sps"))
    )
    assert not any("drift" in line for line in steady["warnings"])


def test_a_speedup_that_drifts_is_named() -> None:
    samples = [
        msgspec.structs.replace(item, decode_ns=int(item.decode_ns * 1.2), total_ns=item.total_ns * 2)
        if item.method == "sps" and item.repeat == 2
        else item
        for item in timed({"as": 1, "as*": 1, "sps": 2}, 20, 3, 0)
    ]
    warnings = summarize(make_run(samples, questions(20), labels=("as", "as*", "sps")))["warnings"]
    assert any(line.startswith("SPS: its speed-up changed between repeats by more than chance") for line in warnings)
