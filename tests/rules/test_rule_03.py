"""Rule 3: at least three repeats, every raw value kept, outliers labelled, and too wide a spread said with its cure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bed import TASKS, Machine, bench, settings, summary_of, warnings_of
from paired_runs import make_run
from synthetic import questions as prompts_of
from synthetic import timed

from draftwise.analysis.outliers import FAR, raw_points
from draftwise.analysis.run import load_run
from draftwise.analysis.summary import summarize
from draftwise.bench import BenchSettings
from draftwise.errors import DraftwiseError

PLANNED = TASKS * 3 * 3
STALLED = 50
"""A call of the timed pass."""


def jitter(number: int) -> float:
    return 1 + (number * 37 % 11) / 1000


def stalled(number: int) -> float:
    """A machine on which one call takes nine times as long."""
    return 9.0 if number == STALLED else jitter(number)


def test_three_repeats_are_taken_where_nothing_is_said_and_every_sample_is_kept(tmp_path: Path) -> None:
    assert BenchSettings().repeats == 3
    machine = Machine(mood=stalled)
    samples = bench(machine, tmp_path)
    assert len(machine.calls) - PLANNED <= STALLED < len(machine.calls)
    assert len(samples) == PLANNED and {item.repeat for item in samples} == {0, 1, 2}
    *_, second, longest = sorted(item.decode_ns for item in samples)
    assert longest > 5 * second
    found = summary_of(tmp_path)
    assert found["complete"] and sum(cell["samples"] for cell in found["overall"].values()) == PLANNED


def test_a_stalled_sample_is_labelled_and_counts_like_any_other(tmp_path: Path) -> None:
    quiet, noisy = tmp_path / "quiet", tmp_path / "noisy"
    bench(Machine(mood=jitter), quiet)
    (spoilt,) = [item for item in bench(Machine(mood=stalled), noisy) if item.decode_ns > 500_000_000]
    before, after = (summary_of(path)["overall"][spoilt.method] for path in (quiet, noisy))
    assert (before["far_outliers"], after["far_outliers"]) == (0, 1)
    assert before["samples"] == after["samples"]
    assert after["seconds"] > 1.2 * before["seconds"] and after["tokens_per_second"] < 0.8 * before["tokens_per_second"]
    points, left_out = raw_points(load_run(noisy).frame, limit=5)
    assert left_out == PLANNED - 5
    assert [(p.label, p.prompt, p.repeat) for p in points if p.outlier == FAR] == [
        (spoilt.method, spoilt.prompt_id, spoilt.repeat)
    ]
    assert f"1 far outlier (beyond 3 interquartile ranges) among {PLANNED} samples; none is dropped." in warnings_of(
        noisy
    )


def drop(directory: Path, number: int) -> None:
    """Planted: a line of the records is taken out."""
    path = directory / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))


def test_planted_a_dropped_outlier_leaves_a_run_that_says_it_is_not_whole(tmp_path: Path) -> None:
    samples = bench(Machine(mood=stalled), tmp_path)
    drop(tmp_path, max(range(PLANNED), key=lambda place: samples[place].decode_ns))
    found = summary_of(tmp_path)
    assert not found["complete"] and (found["samples"], found["planned_samples"]) == (PLANNED - 1, PLANNED)
    assert found["warnings"][0] == f"The run is incomplete: {PLANNED - 1} of {PLANNED} samples were taken."
    assert "without a partner left out of its speed-up" in "\n".join(found["warnings"])


def test_planted_a_run_with_a_dropped_outlier_is_not_completed_by_another_try(tmp_path: Path) -> None:
    bench(Machine(mood=stalled), tmp_path)
    drop(tmp_path, 4)
    with pytest.raises(DraftwiseError, match="the group of samples before it is not whole"):
        bench(Machine(), tmp_path)


def test_planted_a_dropped_answer_of_the_check_pass_is_said(tmp_path: Path) -> None:
    """Or a method that differs from plain decoding on one prompt would agree on all of them."""
    bench(Machine(), tmp_path)
    path = tmp_path / "checks.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert f"The check pass is incomplete: {TASKS * 3 - 1} of {TASKS * 3} answers were looked at." in warnings_of(
        tmp_path
    )


@pytest.mark.parametrize(("repeats", "sessions", "said"), [(1, 1, "1 repeat may"), (2, 1, "2 repeats may"), (3, 1, "")])
def test_too_few_repeats_are_said(repeats: int, sessions: int, said: str, tmp_path: Path) -> None:
    bench(Machine(mood=jitter), tmp_path, settings(repeats=repeats, sessions=sessions))
    warnings = warnings_of(tmp_path)
    assert said in warnings and ("take at least 3" in warnings) == bool(said)


def noisy_run(repeats: int, sessions: int, seed: int = 3) -> dict[str, Any]:
    """The summary of a run whose repeats scatter by 20 to 35 % and nothing else does."""
    noise = 0.2 if sessions == 1 else 0.35
    samples = timed({"as": 1, "sps": 1.6}, 20, repeats, seed, noise=noise, scatter=0.0, sessions=sessions)
    return summarize(make_run(samples, prompts_of(20), repeats=repeats, sessions=sessions))


@pytest.mark.parametrize(("sessions", "each", "then"), [(1, "", 1.03), (3, " a session", 1.05)])
def test_too_wide_an_interval_is_said_with_the_repeats_that_would_narrow_it(
    sessions: int, each: str, then: float
) -> None:
    found = noisy_run(3, sessions)
    figures = found["overall"]["sps"]
    assert figures["speedup_high"] / figures["speedup_low"] > 1.1
    needed = figures["repeats_for_1_percent"]
    (said,) = [line for line in found["warnings"] if "wider than" in line]
    assert said.startswith("SPS: the interval of its speed-up is wider than ±5%; about ")
    assert said.endswith(f"; about {needed - 3} more repeats{each} would give ±1 %.")
    figures = noisy_run(needed, sessions, seed=99)["overall"]["sps"]
    assert figures["speedup_high"] / figures["speedup_low"] < then


def test_where_prompts_scatter_more_prompts_are_asked_for_and_no_repeats() -> None:
    samples = timed({"as": 1, "sps": 1.6}, 10, 3, 0, scatter=0.5)
    assert "more prompts would narrow it, more repeats alone may not give ±1 %." in warnings_of(
        make_run(samples, prompts_of(10))
    )


def test_an_interval_that_is_narrow_enough_is_not_warned_of() -> None:
    samples = timed({"as": 1, "sps": 1.6}, 40, 3, 0)
    assert "wider" not in warnings_of(make_run(samples, prompts_of(40)))
