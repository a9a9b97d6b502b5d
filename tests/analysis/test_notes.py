from __future__ import annotations

from typing import Any

from synthetic import ENVIRONMENT, questions, settings, timed

from draftwise.analysis.summary import summarize


def notes(speeds: dict[str, float], repeats: int = 3, noise: float = 0.02, **environment: Any) -> str:
    records = timed(speeds, 60, repeats, 0, noise)
    chosen = settings(tuple(speeds), repeats)
    return "\n".join(summarize(records, questions(60), chosen, ENVIRONMENT | environment)["warnings"])


def test_a_clean_run_has_nothing_to_warn_of() -> None:
    assert notes({"as": 1, "sps": 2}) == ""


def test_a_difference_within_its_interval_is_called_noise() -> None:
    assert "SPS: the difference from AS is noise" in notes({"as": 1, "sps": 1.001})


def test_too_few_repeats_are_named() -> None:
    assert "2 repeats may not show" in notes({"as": 1, "sps": 2}, repeats=2)


def test_a_wide_interval_asks_for_the_repeats_that_would_do() -> None:
    assert "wider than ±5%; about" in notes({"as": 1, "sps": 2}, noise=0.4)


def test_a_lossy_methods_quality_is_told() -> None:
    assert "BiLD is lossy: its answers score 1.000 where those of AS score 1.000." in notes({"as": 1, "bild": 2})


def test_a_busy_machine_is_named() -> None:
    assert "busy when the run began: load 3.0 on 4 cores" in notes({"as": 1}, load_average=[3.0, 0, 0])


def test_an_unknown_bandwidth_is_named() -> None:
    assert "speed of memory is unknown" in notes({"as": 1}, bandwidth=None)
