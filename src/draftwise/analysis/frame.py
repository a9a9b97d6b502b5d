"""A run's timed samples as columns: a million of them take seconds to read and some hundred bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from draftwise.bench.guard import sample_fault
from draftwise.bench.records import Sample
from draftwise.errors import DraftwiseError

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]

VALID = -1
"""The fault of a sample that has none."""

COLUMNS: Mapping[str, type[np.generic]] = {
    "prompt": np.int32,
    "turn": np.int32,
    "label": np.int32,
    "subtask": np.int32,
    "session": np.int32,
    "repeat": np.int32,
    "order": np.int64,
    "prompt_tokens": np.int32,
    "tokens": np.int32,
    "passes": np.int32,
    "prefill_ns": np.int64,
    "ttft_ns": np.int64,
    "decode_ns": np.int64,
    "total_ns": np.int64,
    "fault": np.int32,
    "same": np.bool_,
}
KEY = ("prompt", "turn", "label", "session", "repeat")
"""What a sample is known by; there is one of each."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Timed samples as columns, N rows in the order in which they stand in the file.

    Attributes:
        prompts: ids of the prompts that have samples, in the order in which they came; ``prompt`` indexes them.
        labels: the run's cells in the settings' order, also those without samples; ``label`` indexes them.
        subtasks: those that have samples, in the order in which they came; ``subtask`` indexes them.
        faults: why samples are invalid, each reason once; ``fault`` indexes them.
    """

    prompts: tuple[str, ...]
    labels: tuple[str, ...]
    subtasks: tuple[str, ...]
    faults: tuple[str, ...]
    prompt: Ints  # [N]
    turn: Ints  # [N]
    label: Ints  # [N]
    subtask: Ints  # [N]
    session: Ints  # [N]
    repeat: Ints  # [N]
    order: Longs  # [N]
    prompt_tokens: Ints  # [N]
    tokens: Ints  # [N], new ones
    passes: Ints  # [N], of the target
    prefill_ns: Longs  # [N]
    ttft_ns: Longs  # [N]
    decode_ns: Longs  # [N]
    total_ns: Longs  # [N]
    fault: Ints  # [N], VALID where there is none
    same: Bools  # [N], whether the ids are those of the check pass, by their hash; True where it has no such answer

    @property
    def valid(self) -> Bools:
        """Whether each sample counts: [N]."""
        return np.asarray(self.fault == VALID)

    def rows(self, part: str | None = None) -> Bools:
        """Whether each sample belongs to a subtask, or to the run where there is none named: [N]."""
        if part is None:
            return np.ones(len(self.prompt), bool)
        code = self.subtasks.index(part) if part in self.subtasks else -1
        return np.asarray(self.subtask == code)


def frame_of(
    samples: Iterable[Sample],
    checks_ids: Mapping[tuple[str, int, str], int],
    labels: Sequence[str],
    max_new_tokens: int,
) -> Frame:
    """Take samples in, one by one.

    Args:
        samples: those of a run.
        checks_ids: ``hash(new_tokens)`` of each answer of the check pass, by prompt id, turn and label.
        labels: the run's cells.
        max_new_tokens: the run's limit, for the guard.

    Raises:
        DraftwiseError: two samples are of the same prompt, turn, cell, session and repeat, a sample is of an unknown
            cell, a prompt or its seed was another one for some samples, or a number can't be.
    """
    asked: dict[tuple[str, int], tuple[int, int]] = {}
    prompts: dict[str, int] = {}
    subtasks: dict[str, int] = {}
    faults: dict[str, int] = {}
    known = {label: index for index, label in enumerate(labels)}
    rows = array("q")
    for sample in samples:
        fault = sample_fault(sample, max_new_tokens)
        ids, name, turn, method = sample.new_tokens, sample.prompt_id, sample.turn, sample.method
        found = checks_ids.get((name, turn, method))
        given = sample.prompt_tokens, sample.seed
        if asked.setdefault((name, turn), given) != given:
            raise _other_prompt(sample, *asked[name, turn])
        try:
            rows.extend(
                (
                    prompts.setdefault(name, len(prompts)),
                    turn,
                    known[method],
                    subtasks.setdefault(sample.subtask, len(subtasks)),
                    sample.session,
                    sample.repeat,
                    sample.order,
                    sample.prompt_tokens,
                    len(ids),
                    sample.passes,
                    sample.prefill_ns,
                    sample.ttft_ns,
                    sample.decode_ns,
                    sample.total_ns,
                    VALID if fault is None else faults.setdefault(fault, len(faults)),
                    found is None or found == hash(ids),
                )
            )
        except KeyError:
            raise DraftwiseError(
                f"the sample with order {sample.order} is of cell {method!r}, and this run has {', '.join(labels)}"
            ) from None
        except OverflowError:
            raise DraftwiseError(f"a sample of prompt {name!r} holds a number beyond 64 bits") from None
    columns = _columns(rows)
    _check(columns, tuple(prompts), labels)
    return Frame(tuple(prompts), tuple(labels), tuple(subtasks), tuple(faults), **columns)


def _other_prompt(sample: Sample, tokens: int, seed: int) -> DraftwiseError:
    return DraftwiseError(
        f"prompt {sample.prompt_id!r}, turn {sample.turn}, has {tokens} tokens and seed {seed} in one sample, "
        f"{sample.prompt_tokens} and {sample.seed} in that of {sample.method} with order {sample.order}; "
        "cells that met other prompts can't be compared"
    )


def row_keys(columns: Sequence[Longs | Ints]) -> Longs:
    """One number a row, the same for rows that are alike in all columns and for no others: [N]."""
    keys = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        keys = np.unique(keys, return_inverse=True)[1]
        keys = keys * (int(column.max(initial=0)) + 1) + column
    return keys


def _columns(rows: array[int]) -> dict[str, NDArray[Any]]:
    table = np.frombuffer(rows, np.int64).reshape(-1, len(COLUMNS))
    for name, column in zip(COLUMNS, table.T, strict=True):
        worst = max(int(column.max(initial=0)), -int(column.min(initial=0)))
        if COLUMNS[name] is np.int32 and worst >= 1 << 31:
            raise DraftwiseError(f"a sample has {name} ±{worst}, which can't be")
    return {name: column.astype(COLUMNS[name]) for name, column in zip(COLUMNS, table.T, strict=True)}


def _check(columns: Mapping[str, NDArray[Any]], prompts: Sequence[str], labels: Sequence[str]) -> None:
    for name in ("turn", "session", "repeat"):
        if (columns[name] < 0).any():
            raise DraftwiseError(f"a sample has {name} {columns[name].min()}, which can't be below 0")
    keys = row_keys([columns[name] for name in KEY])
    firsts = np.unique(keys, return_index=True)[1]
    if len(firsts) == len(keys):
        return
    again = np.ones(len(keys), bool)
    again[firsts] = False
    row = int(np.flatnonzero(again)[0])
    prompt, turn, label, session, repeat = (int(columns[name][row]) for name in KEY)
    raise DraftwiseError(
        f"prompt {prompts[prompt]!r}, turn {turn}, has two samples of {labels[label]} in session {session}, "
        f"repeat {repeat}; delete one of the two lines"
    )
