"""Whole answers of the built-in pair, and what the engine itself takes of a round."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.speed.ratios import Measure
from benchmarks.speed.works import OutsidePasses, a_pass, answers, repeated, small_operations
from draftwise import Engine
from draftwise.tasks import load_suite

ROUNDS = 60
LENGTH = 24
CLOCK = OutsidePasses()
OPTIONS = {"max_new_tokens": LENGTH, "ignore_eos": True}


def prompts(engine: Engine, subtasks: tuple[str, ...] = ("translation", "qa", "law analytics")) -> list[list[int]]:
    """The first one of some subtasks."""
    return [engine.encode(prompt.turns[0]) for prompt in load_suite("builtin", subtasks, limit=1).prompts]


def bench_plain_token_over_a_bare_pass(measure: Measure, load: Callable[..., Engine]) -> None:
    """A token of plain decoding, engine and all."""
    engine = load()
    texts = prompts(engine, ("qa",))
    bare = a_pass(engine.target, 1, context=len(texts[0]) + LENGTH // 2)
    measure(answers(engine, texts, "as", "token", **OPTIONS), repeated(bare, LENGTH), ROUNDS)


@pytest.mark.parametrize("method", ["sps", "bild"])
def bench_token_over_plain_decodings(measure: Measure, load: Callable[..., Engine], method: str) -> None:
    """The inverse of the speed-up; an answer of the lossy method may be another one."""
    engine = load()
    texts = prompts(engine)
    subject, reference = (answers(engine, texts, name, "token", **OPTIONS) for name in (method, "as"))
    measure(subject, reference, ROUNDS)


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize("method", ["as", "sps", "bild"])
def bench_engine_time_of_a_round(measure: Measure, load: Callable[..., Engine], method: str) -> None:
    """What a round takes besides drafting and the target's pass, by a fixed number of small tensor operations."""
    engine = load()
    subject = CLOCK.answers(engine, prompts(engine, ("qa",)), method, **OPTIONS)
    measure(subject, repeated(small_operations(), subject.parts), ROUNDS)
