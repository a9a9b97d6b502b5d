"""The prompts of the check: the first ones of each built-in subtask, and Spec-Bench's where its file is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from draftwise import Engine
from draftwise.options import DecodingOptions
from draftwise.tasks import Prompt, SuiteSource, load_suite

A_SUBTASK = 20


class Item(NamedTuple):
    """A prompt as ids."""

    name: str
    ids: tuple[int, ...]


def read_items(engine: Engine, options: DecodingOptions, limit: int = A_SUBTASK, spec_bench: Path | None = None,
               longest: int | None = None) -> list[Item]:  # fmt: skip
    """The first turns of the prompts, in the order of their lengths, so that a batch's rows are of like length.

    A tokenizer that never saw such text encodes it as best it can; the front of a prompt that is too long is cut off.

    Args:
        engine: encodes them, and says how many tokens its target takes.
        options: of the answers.
        limit: prompts a subtask.
        spec_bench: Spec-Bench's question.jsonl, or a part of it.
        longest: the most tokens a prompt keeps; what the target takes where it is None.

    Raises:
        DraftwiseError: the file can't be read.
    """
    most = engine.prompt_limit(options)
    most = most if longest is None else min(longest, most)
    items = [Item(prompt.id, tuple(engine.encode(prompt.turns[0])[-most:])) for prompt in _prompts(limit, spec_bench)]
    return sorted(items, key=lambda item: len(item.ids))


def _prompts(limit: int, spec_bench: Path | None) -> Iterator[Prompt]:
    yield from load_suite("builtin", limit=limit).prompts
    if spec_bench is not None:
        yield from load_suite(SuiteSource("spec-bench", str(spec_bench)), limit=limit).prompts
