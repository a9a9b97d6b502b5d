"""A small fictional world that writes prompts with reference answers for the eight subtasks.

Pure Python and deterministic: the same `random.Random` gives the same samples. What is held out is a matter of
combinations (which town with which question, which numbers in which order), split by a hash, see `base.split_of`.
"""

import random
from collections.abc import Callable

from draftwise.builtin.world.base import SPLITS, Sample, Split
from draftwise.builtin.world.chat import draw_chat
from draftwise.builtin.world.facts import draw_question
from draftwise.builtin.world.grammar import draw_correction
from draftwise.builtin.world.law import draw_case
from draftwise.builtin.world.news import draw_news
from draftwise.builtin.world.rag import draw_passages, draw_recall
from draftwise.builtin.world.render import render
from draftwise.builtin.world.sums import draw_equations, draw_sum
from draftwise.builtin.world.translation import draw_translation

__all__ = ["DRILLS", "SPLITS", "SUBTASKS", "Sample", "Split", "render", "sample"]

_DRAWS: dict[str, Callable[[Split, random.Random], Sample]] = {
    "multi-turn": draw_chat,
    "translation": draw_translation,
    "summarization": draw_news,
    "qa": draw_question,
    "math_reasoning": draw_sum,
    "rag": draw_passages,
    "law analytics": draw_case,
    "grammar correction": draw_correction,
}
# Training only: what makes the hard subtasks learnable early.
_DRILLS: dict[str, Callable[[Split, random.Random], Sample]] = {
    "equations": lambda split, rng: draw_equations(rng),
    "rag-easy": lambda split, rng: draw_passages(split, rng, easy=True),
    "recall": lambda split, rng: draw_recall(rng),
    "law-easy": lambda split, rng: draw_case(split, rng, easy=True),
}
SUBTASKS = tuple(_DRAWS)
DRILLS = tuple(_DRILLS)


def sample(subtask: str, split: Split, rng: random.Random) -> Sample:
    """Draw one sample of a subtask, or of a training drill, from a split.

    Raises:
        ValueError: if the subtask is unknown.
    """
    draw = _DRAWS.get(subtask) or _DRILLS.get(subtask)
    if draw is None:
        raise ValueError(f"unknown subtask {subtask!r}; known: {', '.join((*SUBTASKS, *DRILLS))}")
    return draw(split, rng)
