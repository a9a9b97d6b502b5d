"""Rule 5: plain decoding against itself is a method like any other, and must give 1.00 within its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bed import METHODS, Machine, bench, plan_in_order, questions, reader, settings, summary_of, warnings_of

from draftwise.bench import BenchSettings, measure
from draftwise.methods import METHODS as TABLE


def jitter(number: int) -> float:
    return 1 + (number * number * 37 % 101 - 50) / 10_000


def test_the_noise_floor_is_among_the_methods_where_nothing_is_said() -> None:
    assert "as*" in BenchSettings().methods
    floor, plain = TABLE["as*"], TABLE["as"]
    assert (floor.lossless, floor.needs_draft, floor.options) == (plain.lossless, plain.needs_draft, plain.options)


def test_it_is_called_paired_and_checked_like_any_other_method(tmp_path: Path) -> None:
    engine = reader()
    samples = bench(engine, tmp_path)
    calls = {
        method: sorted(
            (call.kind, call.ids, call.seed, str(call.options)) for call in engine.calls[1:] if call.method == method
        )
        for method in METHODS
    }
    assert calls["as"] == calls["as*"]  # the first call makes the history of a second turn
    own = [item for item in samples if item.method == "as*"]
    assert len(own) == len(samples) / 3
    figures = summary_of(tmp_path)["overall"]["as*"]
    assert (figures["agreement"], figures["acceptance_length"], figures["unpaired"]) == (1, 1, 0)


def test_on_an_even_machine_it_gives_1_within_its_interval_and_nothing_is_said(tmp_path: Path) -> None:
    bench(Machine(mood=jitter), tmp_path, prompts=questions(12))
    figures = summary_of(tmp_path)["overall"]["as*"]
    assert figures["speedup_low"] <= 1 <= figures["speedup_high"] and figures["speedup_high"] < 1.01
    assert figures["verdict"] == "no difference shown"
    assert "against itself" not in warnings_of(tmp_path)


class ColdFirst(Machine):
    """A machine on which the first answer to a prompt takes 3 % longer: caches are cold."""

    def _answer(self, kind: str, ids: list[int], *more: Any) -> Any:
        self.mood = lambda number: jitter(number) * (1.0 if self.calls[-2:][0].ids == tuple(ids) else 1.03)
        return super()._answer(kind, ids, *more)


def test_planted_an_order_that_favours_the_noise_floor_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench(ColdFirst(), tmp_path / "shuffled", prompts=questions(12))
    assert "against itself" not in warnings_of(tmp_path / "shuffled")
    monkeypatch.setattr(measure, "make_plan", plan_in_order)
    bench(ColdFirst(), tmp_path / "fixed", prompts=questions(12))
    assert summary_of(tmp_path / "fixed")["overall"]["as*"]["verdict"] == "faster"
    assert "Plain decoding against itself gives 1.0" in warnings_of(tmp_path / "fixed")


class Favoured(Machine):
    """Planted: an engine that does plain decoding's work faster when it is called by its other name."""

    def _answer(self, kind: str, ids: list[int], method: str, *more: Any) -> Any:
        self.mood = lambda number: jitter(number) * (0.9 if method == "as*" else 1.0)
        return super()._answer(kind, ids, method, *more)


def test_planted_a_baseline_that_is_slower_than_itself_is_said(tmp_path: Path) -> None:
    bench(Favoured(), tmp_path, prompts=questions(8))
    assert "Plain decoding against itself gives 1.1" in warnings_of(tmp_path)
    assert "differences of that size mean nothing here" in warnings_of(tmp_path)


def test_a_run_without_it_says_so(tmp_path: Path) -> None:
    bench(Machine(), tmp_path, settings(("as", "sps")))
    assert "No noise floor was measured" in warnings_of(tmp_path)
