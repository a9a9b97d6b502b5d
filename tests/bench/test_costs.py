from __future__ import annotations

import gc
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from draftwise import Engine
from draftwise.bench import costs
from draftwise.bench.cells import make_cells
from draftwise.bench.costs import FEWEST, MOST, measure_costs, widths_for
from draftwise.bench.models import Models
from draftwise.bench.settings import Axis, BenchSettings
from draftwise.models.loading import load_model
from draftwise.options import DecodingOptions
from models.adapter.tiny_transformers import save_tiny
from toys import Toy, toy

US = 1_000


class Clock:
    """Moves when a pass is run, and not else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.collected: list[bool] = []
        monkeypatch.setattr(costs, "perf_counter_ns", lambda: self.now)


@dataclass
class Timed(Toy):
    """A model whose pass over k tokens takes ``pace`` × (10 + k) µs, a tenth more for each hundred tokens before it."""

    clock: Any = None
    pace: float = 1.0
    seen: list[tuple[int, int, int]] = field(default_factory=list)  # tokens, those before them, logits kept

    def forward(self, tokens: torch.Tensor, starts: torch.Tensor, cache: Any, *, span: int, keep: int) -> torch.Tensor:
        steps, first = tokens.shape[1], int(starts[0])
        logits = super().forward(tokens, starts, cache, span=span, keep=keep)
        if keep:
            self.seen.append((steps, first, keep))
            self.clock.collected.append(gc.isenabled())
            assert torch.is_inference_mode_enabled()
        self.clock.now += round(self.pace * (10 + steps) * (1 + first / 1000) * US)
        return logits


def models(clock: Clock, drafts: Sequence[str] = ("small",), positions: int = 2048) -> Models:
    table = toy(8).table
    target = Timed(table, clock=clock, max_positions=positions)
    engines = {name: Engine(target, Timed(table, clock=clock, pace=0.1, max_positions=positions)) for name in drafts}
    return Models(engines or {None: Engine(target)}, {})


def test_each_pass_has_its_median_time_at_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    run = models(Clock(monkeypatch), ("small", "other"))
    result = measure_costs(run, (1, 2, 5), 100, seconds=0.01)
    assert result["context"] == 100
    assert result["target"] == {"1": 12_100, "2": 13_200, "5": 16_500}
    assert result["drafts"] == {"small": {"1": 1_210, "2": 1_320}, "other": {"1": 1_210, "2": 1_320}}
    assert FEWEST <= result["passes"] <= MOST


def test_a_pass_feeds_and_keeps_what_it_does_in_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    run = models(Clock(monkeypatch))
    measure_costs(run, (1, 4), 50, seconds=0.0)
    target, draft = run.first.target, run.first.draft
    assert isinstance(target, Timed)
    assert isinstance(draft, Timed)
    assert set(target.seen) == {(1, 50, 1), (4, 50, 4)}
    assert set(draft.seen) == {(1, 50, 1), (2, 50, 1)}
    assert sum(target.fills) == sum(draft.fills) == 50


def test_a_run_without_a_draft_has_the_targets_curve_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    result = measure_costs(models(Clock(monkeypatch), ()), (1,), 10, seconds=0.0)
    assert result["drafts"] == {}
    assert list(result["target"]) == ["1"]


def test_an_outlier_moves_no_median(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    run = models(clock)
    inner, calls = Timed.forward, iter(range(10_000))

    def hiccup(self: Timed, *args: Any, **options: Any) -> torch.Tensor:
        clock.now += 1_000_000 if next(calls) % 7 == 0 else 0
        return inner(self, *args, **options)

    monkeypatch.setattr(Timed, "forward", hiccup)
    assert measure_costs(run, (1, 2, 5), 100, seconds=0.05)["target"] == {"1": 12_100, "2": 13_200, "5": 16_500}


def test_every_pass_takes_its_turn_in_an_order_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[list[int]] = []

    class Watched(random.Random):
        def shuffle(self, x: Any) -> None:
            super().shuffle(x)
            orders.append(list(x))

    monkeypatch.setattr(random, "Random", Watched)
    result = measure_costs(models(Clock(monkeypatch)), (1, 2, 3), 10, seconds=0.0)
    assert len(orders) == result["passes"] == FEWEST
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert len(set(map(tuple, orders))) > 1


def test_no_garbage_is_collected_within_and_the_collector_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert gc.isenabled()
    measure_costs(models(clock), (1,), 10, seconds=0.0)
    assert gc.isenabled()
    assert not any(clock.collected)


def test_the_device_is_waited_for_within_each_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that works when it is waited for: without that wait each pass would seem to take no time."""
    clock = Clock(monkeypatch)
    run, owed = models(clock), [0]

    def enqueue(self: Timed, *args: Any, **options: Any) -> torch.Tensor:
        owed[0] += 5 * US
        return Toy.forward(self, *args, **options)

    def wait(devices: object) -> None:
        clock.now, owed[0] = clock.now + owed[0], 0

    monkeypatch.setattr(Timed, "forward", enqueue)
    monkeypatch.setattr("draftwise.clock.synchronize", wait)
    assert measure_costs(run, (1, 2), 10, seconds=0.0)["target"] == {"1": 5 * US, "2": 5 * US}


def test_positions_stay_within_the_models_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    run = models(Clock(monkeypatch), positions=20)
    result = measure_costs(run, (1, 4, 64), 100, seconds=0.0)
    assert result["context"] == 16
    assert list(result["target"]) == ["1", "4"]


def test_real_models_of_both_kinds_are_timed(tmp_path_factory: pytest.TempPathFactory, opt_pair: Any) -> None:
    directory = save_tiny(tmp_path_factory.mktemp("t5"), "t5 gated untied")
    translator = Engine(load_model(directory), load_model(directory))
    for engine in (translator, Engine.load(*opt_pair)):
        result = measure_costs(Models({"small": engine}, {}), (1, 3), 20, seconds=0.0)
        assert result["context"] == 20
        assert all(taken > 0 for curve in (result["target"], result["drafts"]["small"]) for taken in curve.values())


def cells(methods: tuple[str, ...], **options: Any) -> Any:
    axes = tuple(Axis(name, values) for name, values in options.pop("sweep", {}).items())
    return make_cells(BenchSettings(methods=methods, sweep=axes, decoding=DecodingOptions(**options)))


def test_the_widths_reach_from_one_token_to_the_longest_draft_and_one() -> None:
    assert widths_for(cells(("as", "as*"))) == (1,)
    assert widths_for(cells(("as", "sps"), gamma=4)) == (1, 2, 3, 4, 5)
    assert widths_for(cells(("as", "sps", "bild"), gamma=4, max_draft_tokens=10)) == tuple(range(1, 12))
    assert widths_for(cells(("as", "sps"), gamma=2, sweep={"gamma": (2, 6)})) == tuple(range(1, 8))


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    assert widths_for(cells(("sps",), gamma=13, max_new_tokens=99)) == (1, 2, 3, 4, 5, 6, 8, 10, 12, 14)
    assert widths_for(cells(("sps",), gamma=63, max_new_tokens=99))[-5:] == (16, 24, 32, 48, 64)
    assert widths_for(cells(("sps",), gamma=5000, max_new_tokens=9000))[-1] == 5001


def test_no_draft_is_longer_than_an_answer_leaves_room_for() -> None:
    assert widths_for(cells(("sps",), gamma=60, max_new_tokens=4)) == (1, 2, 3, 4)
    assert widths_for(cells(("sps",), gamma=60, max_new_tokens=1)) == (1,)
