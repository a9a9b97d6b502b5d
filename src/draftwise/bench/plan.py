"""The order of a run: for each prompt all cells back to back, in an order shuffled anew in each repeat.

Drift of the machine (heat, neighbours, clocks) then falls on all cells alike. Everything follows from the run's seed
and the names of things, so a stored seed gives the plan again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from draftwise.tasks import Prompt

Task = tuple[str, int]
"""A prompt's id and one of its turns, counted from 0."""


@dataclass(frozen=True, slots=True)
class Step:
    """One sample to be taken, of the cell with that label; ``seed`` is that of its random numbers, the same for all."""

    order: int
    repeat: int
    task: Task
    cell: str
    seed: int


def tasks_of(prompts: Sequence[Prompt]) -> list[Task]:
    """Every turn of every prompt."""
    return [(prompt.id, turn) for prompt in prompts for turn in range(len(prompt.turns))]


def make_plan(tasks: Sequence[Task], labels: Sequence[str], repeats: int, seed: int) -> list[Step]:
    """Every sample of a run, in order.

    The prompts are shuffled too, so that a run that is cut short has met all subtasks alike.
    """
    steps: list[Step] = []
    for repeat in range(repeats):
        shuffled = list(tasks)
        _random(seed, "prompts", repeat).shuffle(shuffled)
        for task in shuffled:
            group = list(labels)
            _random(seed, "methods", repeat, *task).shuffle(group)
            steps += [
                Step(len(steps) + place, repeat, task, label, sample_seed(seed, repeat, task))
                for place, label in enumerate(group)
            ]
    return steps


def sample_seed(seed: int, repeat: int, task: Task) -> int:
    """The seed of a sample's random numbers."""
    return _random(seed, "sample", repeat, *task).getrandbits(63)


def _random(*names: object) -> random.Random:
    return random.Random("/".join(map(str, names)))  # a text is hashed with SHA-512, the same in every process
