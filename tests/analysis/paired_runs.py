"""Runs in memory over the same prompts, whose true ratios are known."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from synthetic import ENVIRONMENT, TOKENS, check, questions, sample, settings

from draftwise.analysis.checks import CheckTable
from draftwise.analysis.frame import frame_of
from draftwise.analysis.run import RunData
from draftwise.bench import BenchSettings
from draftwise.bench.records import Check, Sample
from draftwise.tasks import Prompt

SPEEDS = {"as": 1.0, "sps": 1.6}


@dataclass(frozen=True)
class Scatter:
    """How the logs of times scatter (standard deviations)."""

    prompts: float = 0.05  # of a run's own change on each prompt
    sessions: float = 0.01
    repeats: float = 0.02


def timed_run(
    speeds: Mapping[str, float],
    prompts: Sequence[Prompt],
    seed: int,
    *,
    sessions: int = 3,
    repeats: int = 3,
    scatter: Scatter | None = None,
) -> list[Sample]:
    """Samples of a run; how hard a prompt is, and for which cell, is the same for every seed."""
    scatter = scatter or Scatter()
    world, rng = np.random.default_rng(99), np.random.default_rng(seed)
    hard = {prompt.id: world.normal(0, 0.3) for prompt in prompts}
    own = {(prompt.id, label): world.normal(0, 0.1) for prompt in prompts for label in speeds}
    change = {key: rng.normal(0, scatter.prompts / 2**0.5) for key in own}
    mood = {(session, label): rng.normal(0, scatter.sessions) for session in range(sessions) for label in speeds}
    return [
        sample(
            prompt.id,
            label,
            turn=turn,
            session=session,
            repeat=repeat,
            subtask=prompt.subtask,
            decode_ms=100
            / speed
            * float(
                np.exp(
                    hard[prompt.id]
                    + own[prompt.id, label]
                    + change[prompt.id, label]
                    + mood[session, label]
                    + rng.normal(0, scatter.repeats)
                )
            ),
        )
        for session in range(sessions)
        for repeat in range(repeats)
        for prompt in prompts
        for turn in range(len(prompt.turns))
        for label, speed in speeds.items()
    ]


def answers(prompts: Sequence[Prompt], labels: Sequence[str], **values: Any) -> list[list[Check]]:
    """The checks of a run, the same for every prompt and label."""
    return [
        [check(prompt.id, label, turn=turn, subtask=prompt.subtask, **values) for label in labels]
        for prompt in prompts
        for turn in range(len(prompt.turns))
    ]


def two_subtasks(count: int) -> list[Prompt]:
    """Half of the prompts are of each subtask."""
    return [*questions(count - count // 2), *questions(count // 2, "rag")]


def make_run(
    samples: Sequence[Sample],
    prompts: Sequence[Prompt],
    *,
    groups: Sequence[list[Check]] | None = None,
    environment: Mapping[str, Any] | None = None,
    planned: int | None = None,
    labels: Sequence[str] = tuple(SPEEDS),
    chosen: BenchSettings | None = None,
    **options: Any,
) -> RunData:
    """A run that holds the samples; ``chosen`` are the settings of one that sweeps."""
    facts = copy.deepcopy(ENVIRONMENT) | dict(environment or {})
    chosen = chosen or settings(tuple(labels), **options)
    checks = CheckTable.of(answers(prompts, labels) if groups is None else groups, labels, chosen, facts)
    return RunData(
        settings=chosen,
        environment=facts,
        prompts=tuple(prompts),
        frame=frame_of(samples, checks.ids, labels, max(30, len(TOKENS))),
        checks=checks,
        costs=None,
        planned=len(samples) if planned is None else planned,
        groups=tuple(groups or ()),
    )


def simple_run(seed: int, speeds: Mapping[str, float] = SPEEDS, *, count: int = 40, **options: Any) -> RunData:
    """A run of three sessions and three repeats over two subtasks."""
    prompts = two_subtasks(count)
    return make_run(timed_run(speeds, prompts, seed), prompts, labels=tuple(speeds), **options)
