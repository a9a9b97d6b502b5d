"""What is compared: a model pair, a type, and prompts as ids, the same for every peer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from draftwise.builtin import draft_directory, grow, target_directory
from draftwise.engine import Engine
from draftwise.errors import DraftwiseError
from draftwise.tasks import load_suite

DTYPES = ("float32", "bfloat16", "int8")
MOST_TOKENS = 32
"""New tokens of an answer; the built-in pair's end at 19 to 31."""


@dataclass(frozen=True, slots=True)
class Case:
    """A model pair in one type on so many threads; all that a worker must know to load it.

    Attributes:
        model: a key of ``MODELS``.
        dtype: one of ``DTYPES``.
        target: the target's directory, in the Hugging Face format.
        draft: the draft's.
        threads: that compute.
        store: a directory for what a peer converts the weights into; it is used again.
    """

    model: str
    dtype: str
    target: str
    draft: str
    threads: int
    store: str


class Recipe(NamedTuple):
    """A row of ``MODELS``: the shape that the target is grown to, None as it ships; and which prompts are taken.

    ``context`` is the number of tokens that an answer's middle should have before it; None takes the first prompts of
    every subtask.
    """

    about: str
    like: str | None
    context: int | None


MODELS = {
    "builtin": Recipe("the built-in pair as it ships", None, None),
    "opt-125m": Recipe("the built-in target in OPT-125m's shape, with the built-in draft", "facebook/opt-125m", 150),
    "tiny": Recipe("the built-in draft, drafting for itself: a smoke test", None, None),
}


class Question(NamedTuple):
    """A prompt and how long its answer is to be: as long as draftwise's plain decoding makes it."""

    name: str
    prompt: list[int]
    answer: list[int]


def make_case(model: str, dtype: str, threads: int, store: Path) -> Case:
    """Find the models' directories; a grown target is written where it isn't there yet."""
    recipe = MODELS[model]
    target = draft_directory() if model == "tiny" else target_directory()
    if recipe.like is not None:
        grown = store / f"grown-{recipe.like.rpartition('/')[2]}"
        if not grown.exists():
            store.mkdir(parents=True, exist_ok=True)
            grow("builtin", grown, like=recipe.like, dtype="float32")
        target = grown
    return Case(model, dtype, str(target), str(draft_directory()), threads, str(store))


def reference_engine(case: Case) -> Engine:
    """The engine of draftwise for a case."""
    return Engine.load(case.target, case.draft, dtype=case.dtype)


def ask(case: Case, engine: Engine, count: int, most_tokens: int = MOST_TOKENS) -> list[Question]:
    """The case's prompts, and draftwise's plain greedy answers, each up to and with its end of text.

    Raises:
        DraftwiseError: there are fewer prompts than asked for.
    """
    prompts = _choose(engine, count, MODELS[case.model].context, most_tokens)
    answers = [engine.generate(ids, method="as", max_new_tokens=most_tokens) for _, ids in prompts]
    return [Question(name, ids, list(answer.tokens)) for (name, ids), answer in zip(prompts, answers, strict=True)]


def _choose(engine: Engine, count: int, context: int | None, tokens: int) -> list[tuple[str, list[int]]]:
    """Prompts of the built-in suite with their ids: nearest to a context, else the subtasks in turn."""
    suite = load_suite("builtin").prompts
    if count > len(suite):
        raise DraftwiseError(f"the built-in suite has {len(suite)} prompts; ask for fewer than {count}")
    found = [(prompt.id, prompt.subtask, engine.encode(prompt.turns[0])) for prompt in suite]
    if context is None:
        found.sort(key=lambda one: one[0].rpartition("-")[2])
    else:
        found.sort(key=lambda one: abs(len(one[2]) + tokens // 2 - context))
    return [(name, ids) for name, _, ids in found[:count]]
