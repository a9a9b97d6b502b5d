"""Whole answers of the built-in pair, and what the engine itself takes of a round."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.speed.ratios import Measure
from benchmarks.speed.works import OutsidePasses, a_pass, answers, small_operations
from draftwise import Engine
from draftwise.tasks import load_suite

ROUNDS = 40
LENGTH = 24
CLOCK = OutsidePasses()
OPTIONS = {"max_new_tokens": LENGTH, "ignore_eos": True}


def prompts(engine: Engine) -> list[list[int]]:
    """One of each of four subtasks."""
    suite = load_suite("builtin", ("translation", "qa", "math_reasoning", "law analytics"), limit=1)
    return [engine.encode(prompt.turns[0]) for prompt in suite.prompts]


def bench_plain_token_over_the_twins_pass(measure: Measure, load: Callable[..., Engine]) -> None:
    """A token of plain decoding, engine and all, by a bare pass of the plain twin."""
    engine, plain = load(), load(backend="plain", exact=False)
    measure(answers(engine, prompts(engine), "as", "token", **OPTIONS), a_pass(plain.target, 1), ROUNDS)


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
    """What a round takes outside the models' passes, by a fixed number of small tensor operations."""
    engine = load()
    texts = prompts(engine)
    measure(answers(CLOCK.watch(engine), texts, method, "round", **OPTIONS), small_operations(), ROUNDS)
