from __future__ import annotations

import random

import pytest
from fakes import METHODS, prompts

from draftwise.bench.plan import Group, Task, make_plan, task_seed, tasks_of

TASKS = tasks_of(prompts())
MANY = [(f"p{n}", 0) for n in range(50)]


def plan(tasks: list[Task], *, sessions: int = 1, repeats: int = 2, seed: int = 0) -> list[Group]:
    return list(make_plan(tasks, METHODS, sessions=sessions, repeats=repeats, seed=seed))


def test_every_turn_is_a_task() -> None:
    assert TASKS == [("chat-0", 0), ("chat-0", 1), ("chat-1", 0), ("chat-1", 1), ("qa-0", 0), ("qa-1", 0), ("qa-2", 0)]


def test_each_group_is_planned_once_and_its_samples_numbered_in_order() -> None:
    groups = plan(TASKS, sessions=2, repeats=3)
    assert [group.first for group in groups] == list(range(0, len(TASKS) * 2 * 3 * 3, 3))
    assert len({group.key for group in groups}) == len(groups) == len(TASKS) * 2 * 3
    assert [group.session for group in groups] == [0] * len(TASKS) * 3 + [1] * len(TASKS) * 3


def test_all_cells_of_a_prompt_run_back_to_back() -> None:
    assert all(sorted(group.labels) == sorted(METHODS) for group in plan(TASKS))


def test_the_order_of_cells_and_prompts_changes_with_each_repeat_and_session() -> None:
    groups = plan(MANY, sessions=2)
    orders = {group.key: group.labels for group in groups}
    assert len(set(orders.values())) == 6
    for other in ((0, 1), (1, 0), (1, 1)):
        assert any(orders[(*other, task)] != orders[(0, 0, task)] for task in MANY)
    passes = [tuple(group.task for group in groups[start : start + 50]) for start in range(0, 200, 50)]
    assert len(set(passes)) == 4 and all(sorted(found) == sorted(MANY) for found in passes)


def is_fair(groups: list[Group]) -> bool:
    """Whether each cell is first in a third of 2,000 groups; 100 from that is more than 4.7 standard deviations."""
    firsts = [group.labels[0] for group in groups]
    assert len(firsts) == 2000
    return all(abs(firsts.count(label) - 2000 / 3) < 100 for label in METHODS)


def test_no_cell_is_first_more_often_than_chance_allows() -> None:
    assert is_fair(plan(MANY, repeats=40))


def test_an_order_that_is_not_shuffled_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random.Random, "shuffle", lambda self, items: None)
    assert not is_fair(plan(MANY, repeats=40))


def test_a_task_has_the_same_seed_in_all_repeats_and_sessions_and_no_other_has_it() -> None:
    seeds = {(group.task, group.seed) for group in plan(MANY, sessions=3, repeats=3)}
    assert seeds == {(task, task_seed(0, task)) for task in MANY}
    assert len({seed for _, seed in seeds}) == len(MANY) and all(0 <= seed < 2**63 for _, seed in seeds)


def test_the_seed_gives_the_plan_again_and_another_seed_another() -> None:
    state = random.getstate()
    assert plan(MANY, seed=3) == plan(MANY, seed=3)
    assert plan(MANY, seed=3) != plan(MANY, seed=4)
    assert random.getstate() == state, "the plan draws on nobody else's random numbers"


def test_more_repeats_or_sessions_only_add_to_the_plan() -> None:
    assert plan(MANY, repeats=3)[: len(MANY) * 2] == plan(MANY, repeats=2)
    assert plan(MANY, sessions=2)[: len(MANY) * 2] == plan(MANY)
