from __future__ import annotations

from itertools import groupby

from fakes import METHODS, prompts

from draftwise.bench.plan import make_plan, tasks_of

TASKS = tasks_of(prompts())
MANY = [(f"p{n}", 0) for n in range(50)]


def test_every_turn_is_a_task() -> None:
    assert TASKS == [("chat-0", 0), ("chat-0", 1), ("chat-1", 0), ("chat-1", 1), ("qa-0", 0), ("qa-1", 0), ("qa-2", 0)]


def test_each_sample_is_planned_once_and_numbered_in_order() -> None:
    plan = make_plan(TASKS, METHODS, 3, seed=0)
    assert [step.order for step in plan] == list(range(len(TASKS) * 3 * 3))
    assert len({(step.task, step.cell, step.repeat) for step in plan}) == len(plan)


def test_all_cells_of_a_prompt_run_back_to_back() -> None:
    plan = make_plan(TASKS, METHODS, 2, seed=0)
    groups = [list(group) for _, group in groupby(plan, key=lambda step: (step.repeat, step.task))]
    assert all(sorted(step.cell for step in group) == sorted(METHODS) for group in groups)
    assert all(len({step.seed for step in group}) == 1 for group in groups)


def test_the_order_of_cells_and_prompts_changes_with_each_repeat() -> None:
    plan = make_plan(MANY, METHODS, 2, seed=0)
    orders = {(step.repeat, step.task): [] for step in plan}
    for step in plan:
        orders[(step.repeat, step.task)].append(step.cell)
    assert len({tuple(order) for order in orders.values()}) == 6
    assert any(orders[(0, task)] != orders[(1, task)] for task in MANY)
    first, second = plan[: len(plan) // 2], plan[len(plan) // 2 :]
    assert [step.task for step in first] != [step.task for step in second]


def test_the_seed_gives_the_plan_again_and_another_seed_another() -> None:
    assert make_plan(MANY, METHODS, 2, seed=3) == make_plan(MANY, METHODS, 2, seed=3)
    assert make_plan(MANY, METHODS, 2, seed=3) != make_plan(MANY, METHODS, 2, seed=4)
