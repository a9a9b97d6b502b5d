"""The check pass in one stream: sums over its rounds, and a row for each answer where figures need intervals."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from draftwise.analysis.tally import Fallback, Ints, RoundCounter, Tally
from draftwise.bench.cells import BASELINE
from draftwise.bench.records import Check
from draftwise.bench.settings import BenchSettings
from draftwise.errors import DraftwiseError

EQUAL = -1
"""The first differing position of an answer that equals plain decoding's."""
UNKNOWN = -2
"""The same where plain decoding's answer isn't there."""

ANY_LENGTH = 1 << 31
"""Longer than any draft."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One row for each check, N rows in the order of the file. ``prompt``, ``label`` and ``subtask`` are indices."""

    prompt: Ints  # [N]
    turn: Ints  # [N]
    label: Ints  # [N]
    subtask: Ints  # [N]
    tokens: Ints  # [N]
    passes: Ints  # [N], of the target
    differs: Ints  # [N], position of the first token that differs from plain decoding's, or EQUAL, or UNKNOWN
    score: NDArray[np.float64]  # [N], NaN without a reference
    baseline_score: NDArray[np.float64]  # [N], of plain decoding's answer to the same turn; NaN where it isn't there


@dataclass(frozen=True, slots=True)
class CheckTable:
    """What the check pass says, by part and label. A part is a subtask's name, or None for the whole run.

    Attributes:
        labels: the run's cells.
        subtasks: those that have checks, in the order in which they came.
        prompts: ids of the prompts that have checks, in the order in which they came.
        tasks: (prompt id, turn) of each group.
        ids: a hash of each answer's ids, ``hash(new_tokens)``, by (prompt id, turn, label).
        answers: a row a check.
        greedy: whether the run decoded at temperature 0, so that outputs can be held against plain decoding's.
        seed: of the intervals.
        methods: what the environment says of each label.
        rounds: the sums.
    """

    labels: tuple[str, ...]
    subtasks: tuple[str, ...]
    prompts: tuple[str, ...]
    tasks: tuple[tuple[str, int], ...]
    ids: Mapping[tuple[str, int, str], int]
    answers: Answers
    greedy: bool
    seed: int
    methods: Mapping[str, Mapping[str, Any]]
    rounds: RoundCounter

    @classmethod
    def of(
        cls,
        groups: Iterable[Sequence[Check]],
        labels: Sequence[str],
        settings: BenchSettings,
        environment: Mapping[str, Any],
    ) -> CheckTable:
        """Read the checks once, group by group; none is kept.

        Args:
            groups: the checks of one turn of one prompt together; where the run was stopped a group may lack cells.
            labels: the run's cells.
            settings: the run's.
            environment: the run's; "methods" says how each label drafts, "stop_token_ids" what ends a text.

        Raises:
            DraftwiseError: a check contradicts itself, is there twice, or is of no known cell.
        """
        methods = environment.get("methods") or {}
        stops = frozenset(environment.get("stop_token_ids") or ())
        builder = _Builder(
            tuple(labels),
            tuple(_fallback(methods.get(label, {}).get("options") or {}, stops) for label in labels),
            RoundCounter(settings.decoding.max_new_tokens),
        )
        for group in groups:
            builder.add(group)
        builder.rounds.flush()
        return cls(
            labels=tuple(labels),
            subtasks=tuple(builder.subtasks),
            prompts=tuple(builder.prompts),
            tasks=tuple(builder.tasks),
            ids=builder.ids,
            answers=builder.answers(),
            greedy=settings.decoding.temperature == 0,
            seed=settings.decoding.seed,
            methods=methods,
            rounds=builder.rounds,
        )

    def tally(self, part: str | None, label: str) -> Tally:
        """The sums over a label's rounds in a part."""
        place, count = self.labels.index(label), len(self.labels)
        subtasks = [i for i, name in enumerate(self.subtasks) if part is None or name == part]
        return self.rounds.tally([subtask * count + place for subtask in subtasks])

    def rows(self, part: str | None, label: str) -> Ints:
        """Which of ``answers`` are a label's in a part, [n]."""
        mask = self.answers.label == self.labels.index(label)
        if part is not None:
            index = self.subtasks.index(part) if part in self.subtasks else len(self.subtasks)
            mask &= self.answers.subtask == index
        return np.flatnonzero(mask)

    def options(self, label: str) -> Mapping[str, Any]:
        """The options that a label's method reads beside those of every method."""
        return self.methods.get(label, {}).get("options") or {}

    @property
    def missing(self) -> int:
        """How many checks the groups lack."""
        return len(self.tasks) * len(self.labels) - len(self.ids)

    def draft_passes(self, part: str | None = None) -> dict[str, float]:
        """Draft passes per target pass, by label; 0 where nothing was checked."""
        tallies = {label: self.tally(part, label) for label in self.labels}
        return {label: tally.draft_passes / max(1, tally.rounds) for label, tally in tallies.items()}


@dataclass(slots=True)
class _Builder:
    labels: tuple[str, ...]
    fallbacks: tuple[Fallback | None, ...]
    rounds: RoundCounter
    prompts: dict[str, int] = field(default_factory=dict)
    subtasks: dict[str, int] = field(default_factory=dict)
    tasks: dict[tuple[str, int], None] = field(default_factory=dict)
    ids: dict[tuple[str, int, str], int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)  # the prompts again, by index
    whole: array[int] = field(default_factory=lambda: array("q"))
    scores: array[float] = field(default_factory=lambda: array("d"))

    def add(self, group: Sequence[Check]) -> None:
        """Take in the checks of one task."""
        base = next((check for check in group if check.method == BASELINE), None)
        for check in group:
            self._add(check, base)

    def _add(self, check: Check, base: Check | None) -> None:
        if check.method not in self.labels:
            raise DraftwiseError(
                f"there is a check of {check.prompt_id!r} with {check.method!r}, "
                f"which is none of the run's cells: {', '.join(self.labels)}"
            )
        label = self.labels.index(check.method)
        prompt = self.prompts.setdefault(check.prompt_id, len(self.prompts))
        if prompt == len(self.names):
            self.names.append(check.prompt_id)
        self._remember((self.names[prompt], check.turn, self.labels[label]), check)
        subtask = self.subtasks.setdefault(check.subtask, len(self.subtasks))
        tokens = check.new_tokens
        differs = UNKNOWN if base is None else first_difference(tokens, base.new_tokens)
        self.whole.extend((prompt, check.turn, label, subtask, len(tokens), len(check.rounds), differs))
        self.scores.extend((_score(check), _score(base)))
        self.rounds.add(subtask * len(self.labels) + label, check, self.fallbacks[label])

    def _remember(self, key: tuple[str, int, str], check: Check) -> None:
        if key in self.ids:
            raise DraftwiseError(f"the check of {key[0]!r}, turn {key[1]}, with {key[2]!r} is there twice")
        self.ids[key] = hash(check.new_tokens)
        self.tasks.setdefault(key[:2])

    def answers(self) -> Answers:
        """The rows so far."""
        whole = np.array(self.whole, np.int64).reshape(-1, 7).T.copy()
        scores = np.array(self.scores, np.float64).reshape(-1, 2).T.copy()
        return Answers(*whole, *scores)


def first_difference(tokens: Sequence[int], others: Sequence[int]) -> int:
    """The first position at which two answers differ, counted from 0, or ``EQUAL``.

    Where one answer is the other's beginning that is the first position that it lacks.
    """
    if tokens == others:
        return EQUAL
    pairs = enumerate(zip_longest(tokens, others))
    return next(place for place, (token, other) in pairs if token != other)


def _fallback(options: Mapping[str, Any], stops: frozenset[int]) -> Fallback | None:
    if "fallback_threshold" not in options:
        return None
    return Fallback(int(options.get("max_draft_tokens", ANY_LENGTH)), stops)


def _score(check: Check | None) -> float:
    return nan if check is None or check.score is None else check.score
