"""The order of a run: for each prompt all cells back to back, in an order shuffled anew in each repeat.

Drift of the machine (heat, neighbours, clocks) then falls on all cells alike. Everything follows from the run's seed
and the names of things, so a stored seed gives the plan again, and a killed run goes on where it was.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from draftwise.tasks import Prompt

Task = tuple[str, int]
"""A prompt's id and one of its turns, counted from 0."""

GroupKey = tuple[int, int, Task]
"""Session, repeat and task."""


@dataclass(frozen=True, slots=True)
class Group:
    """One task met by every cell in turn.

    ``first`` is the place of its first sample in the whole run, ``labels`` the cells in the order in which they are
    taken, ``seed`` that of the random numbers, the same for all cells and in all repeats.
    """

    session: int
    repeat: int
    task: Task
    labels: tuple[str, ...]
    seed: int
    first: int

    @property
    def key(self) -> GroupKey:
        """What tells it from all others."""
        return self.session, self.repeat, self.task


def tasks_of(prompts: Sequence[Prompt]) -> list[Task]:
    """Every turn of every prompt."""
    return [(prompt.id, turn) for prompt in prompts for turn in range(len(prompt.turns))]


def make_plan(
    tasks: Sequence[Task], labels: Sequence[str], *, sessions: int, repeats: int, seed: int
) -> Iterator[Group]:
    """Every group of a run, in order.

    The prompts are shuffled too, so that a run that is cut short has met all subtasks alike.
    """
    for session in range(sessions):
        for repeat in range(repeats):
            shuffled = list(tasks)
            _random(seed, "prompts", session, repeat).shuffle(shuffled)
            for place, task in enumerate(shuffled):
                order = list(labels)
                _random(seed, "methods", session, repeat, *task).shuffle(order)
                first = ((session * repeats + repeat) * len(tasks) + place) * len(labels)
                yield Group(session, repeat, task, tuple(order), task_seed(seed, task), first)


def task_seed(seed: int, task: Task) -> int:
    """The seed of a task's random numbers."""
    return _random(seed, "sample", *task).getrandbits(63)


def _random(*names: object) -> random.Random:
    return random.Random("/".join(map(str, names)))  # a text is hashed with SHA-512, the same in every process
