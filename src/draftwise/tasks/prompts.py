"""What a prompt is, how prompts are listed, and how they are written down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from draftwise.errors import DraftwiseError

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
"""The subtasks of the seed's experiment, in the order of every listing; a prompt may name another."""

LONGEST_SUBTASK = 60  # characters: it heads a row of a table


@dataclass(frozen=True, slots=True)
class Prompt:
    """One conversation to be answered: one turn, or several that each build on the answers before.

    Attributes:
        id: unique in its suite.
        subtask: one of ``SUBTASKS`` or any other short name.
        turns: what the user says, in order.
        references: the right answer to each turn, "" for a turn that has none; empty where the suite has none.
        fields: for each turn the words that a right answer must hold; empty where the suite has none.
        alternatives: for each turn further answers that are as right as its reference; empty where there are none.
    """

    id: str
    subtask: str
    turns: tuple[str, ...]
    references: tuple[str, ...] = ()
    fields: tuple[tuple[str, ...], ...] = ()
    alternatives: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        """Check the subtask's name, and that what belongs to the turns is as many as they are."""
        check_subtask(self.subtask)
        if not self.turns:
            raise DraftwiseError(f"prompt {self.id!r} has no turn")
        for name in ("references", "fields", "alternatives"):
            values = getattr(self, name)
            if values and len(values) != len(self.turns):
                raise DraftwiseError(f"prompt {self.id!r} has {len(values)} {name} for {len(self.turns)} turns")

    def reference(self, turn: int) -> str | None:
        """The right answer to a turn, or None where there is none."""
        return (self.references[turn] or None) if self.references else None

    def answers(self, turn: int) -> tuple[str, ...]:
        """Every right answer to a turn that is known, its reference first."""
        reference = self.reference(turn)
        further = self.alternatives[turn] if self.alternatives else ()
        return further if reference is None else (reference, *further)

    def fields_of(self, turn: int) -> tuple[str, ...]:
        """The words that a right answer to a turn must hold."""
        return self.fields[turn] if self.fields else ()


@dataclass(frozen=True, slots=True)
class Suite:
    """Prompts to be measured on.

    Attributes:
        prompts: subtask by subtask.
        skipped: for each bad line that was passed over one line of text with its number and what is wrong with it.
    """

    prompts: tuple[Prompt, ...]
    skipped: tuple[str, ...] = ()


def check_subtask(name: Any) -> str:
    """The name of a subtask, if it is one.

    Raises:
        DraftwiseError: it is no text of one stripped line with at most ``LONGEST_SUBTASK`` characters.
    """
    if isinstance(name, str) and 0 < len(name) <= LONGEST_SUBTASK and name.isprintable() and name == name.strip():
        return name
    raise DraftwiseError(f"a subtask's name must be one line of 1 to {LONGEST_SUBTASK} characters, not {brief(name)}")


def brief(value: Any) -> str:
    """A value as it stands in a line of error: its representation, cut short and with nothing unprintable."""
    text = repr(value[:80] if isinstance(value, (str, list)) else value).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 60 else text[:57] + "..."


def subtasks_of(prompts: Iterable[Prompt]) -> list[str]:
    """The subtasks that occur, those of ``SUBTASKS`` in their order and then the others in order of appearance."""
    present = dict.fromkeys(prompt.subtask for prompt in prompts)
    return [name for name in SUBTASKS if name in present] + [name for name in present if name not in SUBTASKS]


def prompts_to_lines(prompts: Iterable[Prompt]) -> Iterator[str]:
    """Each prompt as one line of JSON; ``rows.parse_prompts`` is the way back."""
    for prompt in prompts:
        row: dict[str, Any] = {
            "fields": prompt.fields,
            "id": prompt.id,
            "references": prompt.references,
            "subtask": prompt.subtask,
            "turns": prompt.turns,
        }
        if prompt.alternatives:
            row["alternatives"] = prompt.alternatives
        yield json.dumps(row, ensure_ascii=False, sort_keys=True)


def suite_sha256(prompts: Iterable[Prompt]) -> str:
    """A hash of what the prompts say, so that two runs can be known to have met the same ones."""
    digest = hashlib.sha256()
    for line in prompts_to_lines(prompts):
        digest.update(line.encode() + b"\n")
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
