"""Prompts and the suites that hold them: a suite is a row of ``SUITES``, a loader is a function without arguments."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from draftwise.errors import DraftwiseError, unknown_name

SUBTASKS = (
    "multi-turn",
    "translation",
    "summarization",
    "qa",
    "math_reasoning",
    "rag",
    "law analytics",
    "grammar correction",
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One conversation to be answered: one turn, or several that each build on the answers before.

    Attributes:
        id: unique in its suite.
        subtask: one of ``SUBTASKS``.
        turns: what the user says, in order.
        references: the right answer to each turn; empty where the suite has none.
        fields: for each turn the words that a right answer must hold; empty where the suite has none.
    """

    id: str
    subtask: str
    turns: tuple[str, ...]
    references: tuple[str, ...] = ()
    fields: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        """Check that the subtask is known and that references and fields belong to the turns."""
        if self.subtask not in SUBTASKS:
            raise unknown_name("subtask", self.subtask, SUBTASKS)
        if not self.turns:
            raise DraftwiseError(f"prompt {self.id!r} has no turn")
        for name, values in (("references", self.references), ("fields", self.fields)):
            if values and len(values) != len(self.turns):
                raise DraftwiseError(f"prompt {self.id!r} has {len(values)} {name} for {len(self.turns)} turns")

    def reference(self, turn: int) -> str | None:
        """The right answer to a turn, or None where there is none."""
        return self.references[turn] if self.references else None

    def fields_of(self, turn: int) -> tuple[str, ...]:
        """The words that a right answer to a turn must hold."""
        return self.fields[turn] if self.fields else ()


def _builtin() -> list[Prompt]:
    source = resources.files("draftwise.tasks") / "data" / "builtin.jsonl"
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DraftwiseError(
            "the builtin suite's prompts are missing from this installation; install draftwise again"
        ) from None
    return parse_prompts(text.splitlines(), "the builtin suite")


SUITES: dict[str, Callable[[], list[Prompt]]] = {"builtin": _builtin}


def parse_prompts(lines: Iterable[str], origin: str) -> list[Prompt]:
    """Read prompts from JSON lines with the keys ``id``, ``subtask``, ``turns``, ``references`` and ``fields``.

    Raises:
        DraftwiseError: naming ``origin`` and the line that can't be read, or an id that stands twice.
    """
    prompts = [_parse(line, f"{origin}, line {n}") for n, line in enumerate(lines, 1) if line.strip()]
    twice = [name for name, count in Counter(prompt.id for prompt in prompts).items() if count > 1]
    if twice:
        raise DraftwiseError(f"{origin} holds the prompt id {twice[0]!r} more than once")
    return prompts


def _parse(line: str, where: str) -> Prompt:
    try:
        row: dict[str, Any] = json.loads(line)
        return Prompt(
            id=str(row["id"]),
            subtask=row["subtask"],
            turns=tuple(row["turns"]),
            references=tuple(row.get("references") or ()),
            fields=tuple(tuple(fields) for fields in row.get("fields") or ()),
        )
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DraftwiseError(f"{where} is not a prompt: {error}") from None


def load_suite(name: str, subtasks: Sequence[str] | None = None, limit: int | None = None) -> list[Prompt]:
    """The prompts of a suite, subtask by subtask in the order of ``SUBTASKS``.

    Args:
        name: a key of ``SUITES``.
        subtasks: which subtasks to take; all of them if None or empty.
        limit: the most prompts a subtask; its first ones are taken.

    Raises:
        DraftwiseError: for an unknown suite or subtask (listing the known), or where no prompt is left.
    """
    if name not in SUITES:
        raise unknown_name("suite", name, SUITES)
    for subtask in subtasks or ():
        if subtask not in SUBTASKS:
            raise unknown_name("subtask", subtask, SUBTASKS)
    prompts = SUITES[name]()
    wanted = [subtask for subtask in SUBTASKS if not subtasks or subtask in subtasks]
    chosen = [
        prompt for subtask in wanted for prompt in [prompt for prompt in prompts if prompt.subtask == subtask][:limit]
    ]
    if not chosen:
        raise DraftwiseError(f"suite {name!r} has no prompts for: {', '.join(wanted)}")
    return chosen


def suite_sha256(prompts: Iterable[Prompt]) -> str:
    """A hash of what the prompts say, so that two runs can be known to have met the same ones."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(json.dumps(asdict(prompt), ensure_ascii=False, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def history(turns: Sequence[str], answers: Sequence[str]) -> str:
    """The conversation so far as one text, ready for the next answer.

    Args:
        turns: what the user said, one more than there are answers.
        answers: the raw continuations, which as a rule begin with a space; one is put in where they don't.
    """
    if len(turns) != len(answers) + 1:
        raise ValueError(f"{len(turns)} turns need {len(turns) - 1} answers, not {len(answers)}")
    lines = [
        turn + (answer if answer.startswith(" ") else " " + answer)
        for turn, answer in zip(turns, answers, strict=False)
    ]
    return "\n".join([*lines, turns[-1]])
