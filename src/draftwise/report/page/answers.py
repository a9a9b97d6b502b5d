"""The prompt browser's data: each answer as its tokens and rounds, within a budget of bytes that the subtasks share.

An answer with plain decoding's tokens is written by its rounds alone. A rejected guess is known by its id; its text is
known where the same id was written among the answers that were looked at, always as the same text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from draftwise.analysis.checks import first_difference
from draftwise.bench.cells import BASELINE
from draftwise.bench.records import Check, RoundTrace
from draftwise.report.page.cells import CellView

if TYPE_CHECKING:
    from draftwise.analysis.run import RunData
    from draftwise.tasks import Prompt

BUDGET = 700_000
"""Bytes of JSON for all prompts and answers together."""

SMALLEST_SHARE = 8_000
"""Bytes a subtask; where there are too many subtasks for that, the later ones are left out."""

BYTES_PER_TOKEN = 12
SHORTEST, LONGEST = 40, 1_500
"""Tokens of an answer, and characters of a prompt, that are shown; what is cut is counted on the page."""


@dataclass(frozen=True, slots=True)
class Room:
    """How a share of the budget is meant to be used: for at least three tasks."""

    share: float
    tokens: int
    characters: int


def make_room(subtasks: int, cells: int) -> Room:
    """The share of each subtask, and how much of a long answer and a long prompt it has room for."""
    share = max(SMALLEST_SHARE, BUDGET / max(1, subtasks))
    tokens = int(share / (3 * max(1, cells) * BYTES_PER_TOKEN))
    return Room(share, min(LONGEST, max(SHORTEST, tokens)), min(LONGEST, int(share / 12)))


@dataclass
class Shelf:
    """The tasks of one subtask that fit into its share."""

    room: float
    tasks: list[dict[str, Any]] = field(default_factory=list)
    full: bool = False

    def put(self, task: dict[str, Any]) -> None:
        """Keep a task if there is room; the first without room closes the shelf, so those kept are the first."""
        size = len(json.dumps(task, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
        self.full = self.full or size > self.room
        if not self.full:
            self.room -= size
            self.tasks.append(task)


def browser_payload(run: RunData, cells: Sequence[CellView], subtasks: Sequence[str]) -> dict[str, Any]:
    """The tasks to show, from the front of each subtask, and how many there are."""
    prompts = {prompt.id: prompt for prompt in run.prompts}
    number = {cell.label: place for place, cell in enumerate(cells)}
    part = {name: place + 1 for place, name in enumerate(subtasks)}
    room = make_room(len(subtasks), len(cells))
    shelves = {name: Shelf(room.share) for name in subtasks[: int(BUDGET / room.share)]}
    pieces = Pieces()
    for group in run.check_groups():
        first = group[0]
        shelf, prompt = shelves.get(first.subtask), prompts.get(first.prompt_id)
        if shelf is None or prompt is None or shelf.full:
            if all(other.full for other in shelves.values()):
                break
            continue
        shelf.put(_task(prompt, part[first.subtask], group, number, room))
        pieces.learn(group)
    place = {name: number for number, name in enumerate(prompts)}
    tasks = [task for shelf in shelves.values() for task in shelf.tasks]
    tasks.sort(key=lambda task: (task["part"], place[task["id"]], task["turn"]))
    total = sum(len(prompt.turns) for prompt in run.prompts)
    return {"tasks": tasks, "total": total, "pieces": pieces.of(_rejected_ids(tasks))}


@dataclass
class Pieces:
    """The text of each id, as far as every answer that was looked at wrote it alike."""

    known: dict[int, str | None] = field(default_factory=dict)

    def learn(self, group: Iterable[Check]) -> None:
        """Take note of the ids that some answers hold."""
        for check in group:
            for token, piece in zip(check.new_tokens, check.pieces, strict=False):
                if self.known.setdefault(token, piece) != piece:
                    self.known[token] = None

    def of(self, ids: Iterable[int]) -> dict[str, str]:
        """The texts that are known, by id."""
        return {str(token): piece for token in sorted(ids) if (piece := self.known.get(token))}


def _rejected_ids(tasks: Iterable[dict[str, Any]]) -> set[int]:
    return {token for task in tasks for answer in task["answers"] for token in answer.get("rejected", ())}


def _task(prompt: Prompt, part: int, group: Sequence[Check], number: dict[str, int], room: Room) -> dict[str, Any]:
    turn = group[0].turn
    text = prompt.turns[turn] if turn < len(prompt.turns) else ""
    base = next((check for check in group if check.method == BASELINE), None)
    task: dict[str, Any] = {"id": prompt.id, "part": part, "turn": turn, "prompt": text[: room.characters]}
    if len(text) > room.characters:
        task["cut"] = len(text) - room.characters
    if reference := prompt.reference(turn) if turn < len(prompt.turns) else None:
        task["reference"] = reference[: room.characters]
    answers = [_answer(check, base, number[check.method], room.tokens) for check in group if check.method in number]
    return task | {"answers": answers}


def _answer(check: Check, base: Check | None, cell: int, longest: int) -> dict[str, Any]:
    """One cell's answer; ``differs`` is the first token that is not plain decoding's, counted from 0."""
    answer: dict[str, Any] = {"cell": cell, "finish": check.finish_reason}
    if base is None or check is base or check.new_tokens != base.new_tokens:
        answer["pieces"] = check.pieces[:longest]
        if len(check.pieces) > longest:
            answer["cut"] = len(check.pieces) - longest
        if base is not None and check is not base:
            answer["differs"] = first_difference(check.new_tokens, base.new_tokens)
    if check.score is not None:
        answer["score"] = round(check.score, 3)
    if any(spent.draft for spent in check.rounds):
        answer["rounds"] = [count for spent in check.rounds for count in (spent.drafted, spent.accepted, spent.emitted)]
        answer["rejected"] = [token for spent in check.rounds for token in _rejected(spent)]
    return answer


def _rejected(spent: RoundTrace) -> tuple[int, ...]:
    """The guesses that were judged and fell: none where the text ended within those that stood."""
    return spent.draft[spent.accepted :] if spent.emitted > spent.accepted else ()
