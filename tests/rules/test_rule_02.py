"""Rule 2: all cells meet a prompt back to back, in an order that is shuffled with the stored seed for each repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, permutations
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bed import METHODS, TASKS, bench, plan_in_order, questions, settings
from fakes import FakeEngine
from scipy.stats import chisquare
from synthetic import ENVIRONMENT, sample

from draftwise.analysis.frame import frame_of
from draftwise.analysis.speeds import speed_figures
from draftwise.bench import measure
from draftwise.bench.plan import Group, Task, make_plan
from draftwise.bench.records import Sample, read_samples

MANY: list[Task] = [(f"p{number}", 0) for number in range(60)]
Plan = Callable[..., Iterable[Group]]


def plain_first(tasks: Sequence[Task], labels: Sequence[str], **more: int) -> Iterator[Group]:
    """Planted: only the cells behind plain decoding are shuffled."""
    for group in make_plan(tasks, labels, **more):
        yield Group(group.session, group.repeat, group.task, ("as", *_without(group)), group.seed, group.first)


def in_turns(tasks: Sequence[Task], labels: Sequence[str], **more: int) -> Iterator[Group]:
    """Planted: each cell is at each place equally often, and always behind the same other one."""
    for number, group in enumerate(make_plan(tasks, labels, **more)):
        turned = (*labels[number % len(labels) :], *labels[: number % len(labels)])
        yield Group(group.session, group.repeat, group.task, turned, group.seed, group.first)


def the_same_each_repeat(tasks: Sequence[Task], labels: Sequence[str], **more: int) -> Iterator[Group]:
    """Planted: an order is shuffled once for each prompt."""
    first = {group.task: group.labels for group in make_plan(tasks, labels, **more) if group.repeat == 0}
    for group in make_plan(tasks, labels, **more):
        yield Group(group.session, group.repeat, group.task, first[group.task], group.seed, group.first)


def _without(group: Group) -> list[str]:
    return [label for label in group.labels if label != "as"]


def check_shuffled(plan: Plan) -> None:
    """All orders are equally frequent, and a prompt's order in one repeat says nothing of that in the next.

    A right plan fails with a chance of one in a million, and not with this seed.
    """
    groups = list(plan(MANY, METHODS, sessions=1, repeats=4, seed=7))
    orders = Counter(group.labels for group in groups)
    assert chisquare([orders[order] for order in permutations(METHODS)]).pvalue > 1e-6
    found = {(group.repeat, group.task): group.labels for group in groups}
    pairs = Counter((found[repeat, task], found[repeat + 1, task]) for task in MANY for repeat in range(3))
    every = [pairs[one, other] for one in permutations(METHODS) for other in permutations(METHODS)]
    assert chisquare(every).pvalue > 1e-6


def test_each_order_of_the_cells_is_as_frequent_as_any_other_in_each_repeat() -> None:
    check_shuffled(make_plan)


@pytest.mark.parametrize("plan", [plan_in_order, plain_first, in_turns, the_same_each_repeat])
def test_planted_orders_that_are_not_shuffled_are_caught(plan: Plan) -> None:
    with pytest.raises(AssertionError):
        check_shuffled(plan)


def check_order(engine: FakeEngine, samples: Sequence[Sample], seed: int) -> None:
    """What was really called is what the stored seed plans, and what the records say."""
    calls = engine.calls[-len(samples) :]
    assert [(call.method, call.seed) for call in calls] == [(item.method, item.seed) for item in samples]
    assert [item.order for item in samples] == list(range(len(samples)))
    tasks = list(dict.fromkeys((item.prompt_id, item.turn) for item in samples))
    planned = make_plan(sorted(tasks), METHODS, sessions=1, repeats=3, seed=seed)
    assert [(item.prompt_id, item.method) for item in samples] == [
        (group.task[0], label) for group in planned for label in group.labels
    ]


@pytest.mark.parametrize("seed", [0, 9])
def test_a_run_calls_the_engine_in_the_order_that_its_seed_plans(seed: int, tmp_path: Path) -> None:
    engine = FakeEngine()
    samples = bench(engine, tmp_path, settings(seed=seed), questions(6))
    check_order(engine, samples, seed)
    groups = [list(group) for _, group in groupby(samples, lambda item: (item.repeat, item.prompt_id, item.turn))]
    assert len(groups) == 6 * 3 and all({item.method for item in group} == set(METHODS) for group in groups)


def test_planted_a_runner_that_does_not_follow_the_plan_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "make_plan", plan_in_order)
    engine = FakeEngine()
    samples = bench(engine, tmp_path, settings(), questions(6))
    with pytest.raises(AssertionError):
        check_order(engine, samples, 0)


TRUE, PROMPTS, REPEATS = 1.25, 16, 3


def under_drift(plan: Plan, seed: int) -> list[Sample]:
    """Samples on a machine that gets hotter, and slower by 0.2 % with each call; a sample scatters by as much."""
    rng = np.random.default_rng(seed)
    tasks = [(f"p{number}", 0) for number in range(PROMPTS)]
    hard = dict(zip(tasks, np.exp(rng.normal(0, 0.3, PROMPTS)), strict=True))
    samples: list[Sample] = []
    for group in plan(tasks, METHODS, sessions=1, repeats=REPEATS, seed=seed):
        for place, label in enumerate(group.labels, group.first):
            slow = 1.002**place * np.exp(rng.normal(0, 0.002))
            took = 100 * hard[group.task] * slow / (TRUE if label == "sps" else 1)
            samples.append(sample(group.task[0], label, repeat=group.repeat, order=place, decode_ms=took))
    return samples


def coverage(plan: Plan, label: str, truth: float, experiments: int) -> float:
    """The share of simulated runs whose interval of a label's speed-up holds the truth."""
    held = 0
    for seed in range(experiments):
        frame = frame_of(under_drift(plan, seed), {}, METHODS, 30)
        own = speed_figures(frame, frame.rows(), settings(METHODS), ENVIRONMENT, {})[label]
        held += own["speedup_low"] <= truth <= own["speedup_high"]
    return held / experiments


@pytest.mark.parametrize(("label", "truth"), [("sps", TRUE), ("as*", 1.0)])
def test_on_a_drifting_machine_the_shuffled_plans_intervals_hold_the_truth_and_a_fixed_orders_do_not(
    label: str, truth: float
) -> None:
    assert coverage(make_plan, label, truth, 60) >= 0.9
    assert coverage(plan_in_order, label, truth, 20) <= 0.2


def all_of_a_method_together(tasks: Sequence[Task], labels: Sequence[str], **more: int) -> Iterator[Group]:
    """Planted: one method after the other, as a script with a loop over methods would do."""
    groups = list(make_plan(tasks, labels, **more))
    for number, label in enumerate(labels):
        for place, group in enumerate(groups):
            first = number * len(groups) + place
            yield Group(group.session, group.repeat, group.task, (label,), group.seed, first)


def test_one_method_after_the_other_would_call_plain_decoding_slower_than_itself() -> None:
    def figures(plan: Plan) -> dict[str, float]:
        tasks = [(f"p{number}", 0) for number in range(PROMPTS)]
        groups = plan(tasks, METHODS, sessions=1, repeats=REPEATS, seed=0)
        samples = [
            sample(group.task[0], label, repeat=group.repeat, order=place, decode_ms=100 * 1.002**place)
            for group in groups
            for place, label in enumerate(group.labels, group.first)
        ]
        frame = frame_of(samples, {}, METHODS, 30)
        return speed_figures(frame, frame.rows(), settings(METHODS), ENVIRONMENT, {})["as*"]

    assert figures(all_of_a_method_together)["speedup_high"] < 0.95
    assert figures(make_plan)["speedup_low"] <= 1 <= figures(make_plan)["speedup_high"]


def test_the_seed_is_stored_with_every_sample_and_gives_the_order_again(tmp_path: Path) -> None:
    first = bench(FakeEngine(), tmp_path / "a", settings(seed=4))
    again = bench(FakeEngine(), tmp_path / "b", settings(seed=4))
    other = bench(FakeEngine(), tmp_path / "c", settings(seed=5))
    assert [msgspec.structs.asdict(item) for item in first] == [msgspec.structs.asdict(item) for item in again]
    assert [item.method for item in first] != [item.method for item in other]
    assert len({item.seed for item in read_samples(tmp_path / "a")}) == TASKS


def test_another_seed_gives_the_prompts_and_the_cells_another_order_each() -> None:
    def plan(seed: int) -> list[Group]:
        return list(make_plan(MANY, METHODS, sessions=1, repeats=2, seed=seed))

    first, other = plan(1), plan(2)
    assert [group.task for group in first] != [group.task for group in other]
    orders = {group.task: group.labels for group in first if group.repeat == 0}
    changed = sum(orders[group.task] != group.labels for group in other if group.repeat == 0)
    assert changed > len(MANY) / 2
    halves = [[group.task for group in first if group.repeat == repeat] for repeat in range(2)]
    assert sorted(halves[0]) == sorted(halves[1]) and halves[0] != halves[1] != sorted(MANY)
