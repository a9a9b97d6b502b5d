"""Rounds in which every peer answers every prompt: one prompt, all rows back to back, all in shuffled order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks.peers.cases import Case, Question
from benchmarks.peers.rows import Row, missing, rows_of
from benchmarks.peers.turns import PeerProcess, Refused

FEWEST = 4
"""Prompts that are measured however long they take."""

Say = Callable[[str], None]


class Sample(NamedTuple):
    """One turn: nanoseconds for a first token, and for all of them, with the ids."""

    row: str
    prompt: int
    repeat: int
    first_ns: int
    all_ns: int
    ids: list[int]


@dataclass(slots=True)
class Measured:
    """What a case gave.

    Attributes:
        case: what was compared.
        questions: the prompts, with draftwise's plain answers.
        samples: every turn, in the order in which they were taken.
        unable: rows that can't, and why, by label.
        facts: how each peer was set up.
        idle: the share of a core that each peer used while others worked.
        seconds: that the rounds took.
    """

    case: Case
    questions: list[Question]
    samples: list[Sample] = field(default_factory=list)
    unable: dict[str, str] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


class Limits(NamedTuple):
    """Rounds at most; seconds for a case with its loading, ``FEWEST`` prompts assured; the seed of the order."""

    repeats: int
    seconds: float
    seed: int


def measure(case: Case, questions: Sequence[Question], peers: tuple[str, ...], limits: Limits, say: Say) -> Measured:
    """Start the peers, let them take turns, and end them."""
    found = Measured(case, list(questions))
    rows = rows_of(peers)
    end = perf_counter() + limits.seconds
    processes = start(peers, case, found.unable)
    try:
        able = _load(processes, rows, found, say)
        began = perf_counter()
        warm = _warm(processes, able, found)
        began, each = perf_counter(), perf_counter() - began
        say(_estimate(len(warm), each, len(questions), limits.repeats, end - began))
        _rounds(processes, warm, found, limits, end)
        found.seconds = perf_counter() - began
        found.idle = {name: one.used_asleep / one.slept for name, one in processes.items() if one.slept}
    finally:
        for process in processes.values():
            process.close()
    return found


def start(peers: Sequence[str], case: Case, unable: dict[str, str]) -> dict[str, PeerProcess]:
    """The processes of the peers that are installed; what is said of the others goes to ``unable``."""
    absent = {peer: reason for peer in peers if (reason := missing(peer)) is not None}
    unable.update({row.label: absent[row.peer] for row in rows_of(tuple(absent))})
    return {peer: PeerProcess(peer, case.threads) for peer in peers if peer not in absent}


def _load(processes: dict[str, PeerProcess], rows: Sequence[Row], found: Measured, say: Say) -> list[Row]:
    """Load every peer; gives the rows that can be measured."""
    able: list[Row] = []
    for peer, process in processes.items():
        own = [row for row in rows if row.peer == peer]
        try:
            loaded = process.load(found.case)
        except Refused as reason:
            found.unable.update({row.label: str(reason) for row in own})
            say(f"  {peer}: {reason}")
            continue
        found.facts[peer] = loaded["facts"]
        found.unable.update({row.label: loaded["unable"][row.mode] for row in own if row.mode in loaded["unable"]})
        able += [row for row in own if row.mode in loaded["modes"]]
    return able


def _warm(processes: dict[str, PeerProcess], rows: Sequence[Row], found: Measured) -> list[Row]:
    """An answer from each row that isn't counted; gives the rows that gave one of the right length."""
    question = found.questions[0]
    warm: list[Row] = []
    for row in rows:
        try:
            ids = _turn(processes, row, question)["ids"]
        except Refused as reason:
            found.unable[row.label] = str(reason)
            continue
        if len(ids) != len(question.answer):
            found.unable[row.label] = f"wrote {len(ids)} tokens where {len(question.answer)} were asked for"
            continue
        warm.append(row)
    return warm


def _turn(processes: dict[str, PeerProcess], row: Row, question: Question) -> dict[str, Any]:
    return processes[row.peer].ask("decode", mode=row.mode, prompt=question.prompt, tokens=len(question.answer))


def _estimate(rows: int, each: float, prompts: int, repeats: int, left: float) -> str:
    """What is to come, from the seconds that all rows took for one prompt and those that are left."""
    whole = max(min(each * prompts * repeats, left), each * min(FEWEST, prompts))
    return (
        f"  {rows} rows, {prompts} prompts, up to {repeats} rounds: about {each * prompts:.0f} s a round, "
        f"{whole:.0f} s in all"
    )


def _rounds(processes: dict[str, PeerProcess], rows: list[Row], found: Measured, limits: Limits, end: float) -> None:
    """Take turns until the repeats are done or the time is up."""
    shuffle = random.Random(limits.seed).shuffle
    prompts, rows = list(range(len(found.questions))), list(rows)
    for repeat in range(limits.repeats):
        shuffle(prompts)
        for place, prompt in enumerate(prompts):
            if perf_counter() > end and (repeat or place >= FEWEST):
                return
            shuffle(rows)
            for row in list(rows):
                try:
                    turn = _turn(processes, row, found.questions[prompt])
                except Refused as reason:
                    found.unable[row.label] = str(reason)
                    rows.remove(row)
                    continue
                found.samples.append(Sample(row.label, prompt, repeat, **turn))
