"""Spec-Bench's questions (Xia et al. 2024, "Unlocking Efficiency in Large Language Model Inference").

The file is ``data/spec_bench/question.jsonl`` of github.com/hemingkx/Spec-Bench: ``question_id``, ``category``,
``turns`` and for some questions ``reference``: a text, or a list that may be shorter than the turns, hold "" for a turn
without an answer, or hold a list of answers that are equally right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from draftwise.errors import DraftwiseError
from draftwise.tasks.files import load_lines
from draftwise.tasks.prompts import Prompt, Suite
from draftwise.tasks.rows import Row, read_id, read_references, read_subtask, read_text, read_turns
from draftwise.tasks.sources import SuiteSource

MT_BENCH = frozenset({"writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"})
"""The categories of MT-bench (Zheng et al. 2023), whose two-turn questions are Spec-Bench's multi-turn subtask."""


def load_spec_bench(source: SuiteSource, limit: int | None) -> Suite:
    """The questions of ``source.data``.

    Raises:
        DraftwiseError: the file can't be read, or a line of it is no question.
    """
    return load_lines(Path(str(source.data)), read_question, source.skip_bad_lines)


def read_question(row: Row, number: int) -> Prompt:
    """One question; those of MT-bench become multi-turn, every other category is a subtask of its own."""
    if "turns" not in row:
        raise DraftwiseError("it has no turns, so it is no question of Spec-Bench")
    turns = read_turns({"turns": row["turns"]})
    category = read_text(row.get("category"), "category")
    references, alternatives = read_references(_one_a_turn(row.get("reference"), len(turns)), len(turns))
    return Prompt(
        id=read_id(row.get("question_id"), "question_id"),
        subtask="multi-turn" if category in MT_BENCH else read_subtask(category),
        turns=turns,
        references=references,
        alternatives=alternatives,
    )


def _one_a_turn(reference: Any, turns: int) -> Any:
    """References filled up to one a turn; several for a single turn are equally right."""
    if isinstance(reference, str):
        reference = [reference]
    if not isinstance(reference, list):
        return reference
    if turns == 1 and len(reference) > 1:
        return [reference]
    return reference + [None] * (turns - len(reference))
