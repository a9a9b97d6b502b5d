"""Two runs brought together: the prompts that both measured, and what each one found on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from draftwise.analysis.checks import CheckTable
from draftwise.analysis.frame import Frame
from draftwise.analysis.variance import quantile_of_t
from draftwise.tasks import Prompt

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Shared(NamedTuple):
    """The prompts that two runs have in common, and how many they don't."""

    ids: tuple[str, ...]  # the same text in both, in the first run's order
    subtasks: tuple[str, ...]  # of each, as the first run names it
    turns: int  # of the longest conversation
    first_only: int
    second_only: int
    changed: int  # the same id and another text


def shared_prompts(first: Iterable[Prompt], second: Iterable[Prompt]) -> Shared:
    """The prompts that can be paired: those whose id and turns are the same."""
    before, after = ({prompt.id: prompt for prompt in prompts} for prompts in (first, second))
    known = [prompt for prompt in before.values() if prompt.id in after]
    same = [prompt for prompt in known if prompt.turns == after[prompt.id].turns]
    return Shared(
        ids=tuple(prompt.id for prompt in same),
        subtasks=tuple(prompt.subtask for prompt in same),
        turns=max((len(prompt.turns) for prompt in same), default=0),
        first_only=len(before) - len(known),
        second_only=len(after) - len(known),
        changed=len(known) - len(same),
    )


class Times(NamedTuple):
    """A cell's valid samples in one run by prompt, turn, session and repeat; NaN where there is none."""

    tokens: Floats  # [P, T, S, R] new tokens
    seconds: Floats  # [P, T, S, R] decode time

    @property
    def pace(self) -> Floats:
        """The log of the seconds a token takes, [P, T, S, R]."""
        return np.asarray(np.log(self.seconds / self.tokens))


class Side:
    """One run, on the prompts that it shares with another."""

    def __init__(self, frame: Frame, checks: CheckTable, shared: Shared) -> None:
        """Find the place of each sample and answer; those of other prompts are passed over."""
        self._frame, self._checks, self._shared = frame, checks, shared
        self._places = {name: place for place, name in enumerate(shared.ids)}
        self._place = self._placed(frame.prompts)[frame.prompt]
        self._good = (self._place >= 0) & (frame.fault < 0)
        self._shape = tuple(int(axis[self._good].max(initial=0)) + 1 for axis in (frame.session, frame.repeat))

    def times(self, label: str) -> Times:
        """A cell's samples; a cell that the run lacks has none."""
        frame = self._frame
        code = frame.labels.index(label) if label in frame.labels else -1
        rows = np.flatnonzero(self._good & (frame.label == code))
        place = (self._place[rows], frame.turn[rows], frame.session[rows], frame.repeat[rows])
        tokens, seconds = (np.full((len(self._places), self._shared.turns, *self._shape), np.nan) for _ in range(2))
        tokens[place] = frame.tokens[rows]
        seconds[place] = frame.decode_ns[rows] / 1e9
        return Times(tokens, seconds)

    def prompt_tokens(self) -> Floats:
        """The length of each turn's prompt, history included: [P, T], NaN where nothing was measured."""
        tokens = np.full((len(self._places), self._shared.turns), np.nan)
        place = self._place[self._good], self._frame.turn[self._good]
        tokens[place] = self._frame.prompt_tokens[self._good]
        return tokens

    def scores(self, label: str) -> Floats:
        """The score of a cell's answer to each turn: [P, T], NaN where it has none."""
        checks = self._checks
        scores = np.full((len(self._places), self._shared.turns), np.nan)
        rows = checks.rows(None, label)
        place = self._placed(checks.prompts)[checks.answers.prompt[rows]]
        rows, place = rows[place >= 0], place[place >= 0]
        scores[place, checks.answers.turn[rows]] = checks.answers.score[rows]
        return scores

    def _placed(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Where each prompt of the run stands among the shared ones, -1 for another."""
        places = np.fromiter((self._places.get(name, -1) for name in names), np.int64, len(names))
        return places if len(places) else np.full(1, -1)


def same_answers(first: CheckTable, second: CheckTable, label: str, shared: Shared) -> Floats:
    """For each turn of the shared prompts whether both runs gave the same ids: 1 or 0, [P, T], NaN where unknown."""
    same = np.full((len(shared.ids), shared.turns), np.nan)
    for place, name in enumerate(shared.ids):
        for turn in range(shared.turns):
            one, other = first.ids.get((name, turn, label)), second.ids.get((name, turn, label))
            if one is not None and other is not None:
                same[place, turn] = one == other
    return same


def known_tasks(values: Floats) -> Bools:
    """Whether there is any sample of a turn of a prompt: [P, T] of [P, T, S, R]."""
    return np.asarray(np.isfinite(values).any(axis=(2, 3)))


def over_turns(values: Floats, tasks: Bools) -> Floats:
    """The mean over the turns of a prompt, [P, S, R].

    A repeat that lacks one of the turns is left out (NaN), for turns are not alike.

    Args:
        values: [P, T, S, R].
        tasks: the turns that count, [P, T].
    """
    count = tasks.sum(axis=1)[:, None, None]
    total = np.where(tasks[:, :, None, None], values, 0.0).sum(axis=1)  # a turn's NaN makes the sum one
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def contrast(upper: Floats, lower: Floats) -> Floats:
    """Values [P, N, 1] whose mean is the difference of two runs' means, and which scatter as that difference does.

    Prompts are paired; sessions of two runs have nothing to do with each other, and may be of different numbers. So a
    prompt's difference is that of its two means, and the N sessions of both runs lie around it as they lie around the
    mean of their own run, spread by sqrt(N (N - 1) / (S (S - 1))) for a run of S sessions: then the variance of the
    mean of all N, estimated from their scatter, is the sum of the variances of the two runs' means. That estimate
    reckons with N - 1 degrees of freedom and there are fewer (Welch's, for sessions that scatter alike in both runs),
    so the spread is wider by the ratio of the quantiles of t.

    A run with a single session has no scatter of sessions to show. A single prompt's repeats take the part of sessions
    where both runs have one session.

    Args:
        upper: [P, S, R], NaN where a sample is missing.
        lower: the same of the other run, with sessions and repeats of its own.
    """
    single = all(len(side) == 1 and side.shape[1] == 1 for side in (upper, lower))
    cells = [side[:, 0] if single else mean_over(side, 2) for side in (upper, lower)]
    cells = [side[:, np.isfinite(side).any(axis=0)] for side in cells]
    means = [mean_over(side, 1)[:, None] for side in cells]
    difference = means[0] - means[1]
    sizes = [side.shape[1] for side in cells if side.shape[1] > 1]
    if not sizes:
        return difference[:, :, None]
    number = sum(sizes)
    freedom = sum(1 / size for size in sizes) ** 2 / sum(1 / (size**2 * (size - 1)) for size in sizes)
    wider = quantile_of_t(freedom) / quantile_of_t(number - 1)
    spread = [
        difference + sign * wider * np.sqrt(number * (number - 1) / (size * (size - 1))) * (side - mean)
        for sign, side, mean in zip((1, -1), cells, means, strict=True)
        if (size := side.shape[1]) > 1
    ]
    return np.concatenate(spread, axis=1)[:, :, None]


def mean_over(values: Floats, axis: int | tuple[int, ...]) -> Floats:
    """The mean over axes of what is there, NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    return np.asarray(np.where(count > 0, np.where(known, values, 0.0).sum(axis=axis) / np.maximum(count, 1), np.nan))
