"""BiLD's policy against a slow, independent reading of it, and the anchors that it must hit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from draftwise import Engine
from draftwise.decoding.random import Stream, uniforms
from draftwise.decoding.sampling import probabilities
from draftwise.decoding.types import Sampling
from draftwise.generation import Generation
from draftwise.models.loading import load_model
from toys import After, Toy, after_of, cousin, toy

INF = math.inf
GREEDY = Sampling()
THRESHOLDS = [
    (0.0, 0.0),
    (0.0, 2.0),
    (0.0, INF),
    (0.3, 1.0),
    (0.6, 3.0),
    (0.6, 0.2),
    (0.9, 5.0),
    (0.4, INF),
    (1.0, 3.0),
]


class Reading(NamedTuple):
    """An answer, and drafted, accepted and emitted tokens of each round."""

    tokens: tuple[int, ...]
    rounds: list[tuple[int, int, int]]


def softmax(logits: Sequence[float]) -> list[float]:
    powers = [math.exp(x - max(logits)) for x in logits]
    return [power / sum(powers) for power in powers]


def surprise(logits: Sequence[float], token: int) -> float:
    """-log of a softmax, in nats."""
    largest = max(logits)
    return math.log(sum(math.exp(x - largest) for x in logits)) - (logits[token] - largest)


def pick(logits: torch.Tensor, sampling: Sampling, seed: int, length: int, stream: Stream, place: int) -> int:
    """The argmax; or at temperature > 0 the token where the running sum of probabilities passes the key's number."""
    if sampling.temperature == 0:
        return logits.tolist().index(max(logits.tolist()))
    number = uniforms(torch.tensor([seed]), torch.tensor([length]), stream, place, 1).item()
    running = 0.0
    for token, share in enumerate(probabilities(logits, sampling).tolist()):
        running += share
        if number < running:
            return token
    raise AssertionError("the number lies in the rounding beyond the last token; choose another seed")


def bild(
    large: After,
    small: After,
    prompt: Sequence[int],
    *,
    fallback_threshold: float,
    rollback_threshold: float,
    max_draft_tokens: int = 10,
    max_new_tokens: int,
    stops: Sequence[int] = (),
    sampling: Sampling = GREEDY,
    seed: int = 0,
) -> Reading:
    """Kim et al. 2023, one row, no cache, with every question decided as ``docs/methods.md`` says."""
    text, rounds = list(prompt), []
    while True:
        left, length = len(prompt) + max_new_tokens - len(text), len(text)
        guesses: list[int] = []
        while len(guesses) < min(max_draft_tokens, left - 1) and fallback_threshold < 1:
            logits = small(text + guesses)
            if max(softmax(logits.tolist())) < fallback_threshold:
                break
            guesses.append(pick(logits, sampling, seed, length, Stream.DRAFT, len(guesses)))
            if guesses[-1] in stops:
                break
        kept: list[int] = []
        for guess in guesses:
            if surprise(large(text + kept).tolist(), guess) > rollback_threshold:
                break
            kept.append(guess)
        block = [*kept, pick(large(text + kept), sampling, seed, length, Stream.NEXT, 0)]
        ends = [place for place, token in enumerate(block) if token in stops]
        block = block[: ends[0] + 1] if ends else block
        text += block
        rounds.append((len(guesses), min(len(kept), len(block)), len(block)))
        if ends or len(text) == len(prompt) + max_new_tokens:
            return Reading(tuple(text[len(prompt) :]), rounds)


def account(answer: Generation) -> Reading:
    return Reading(answer.tokens, [(item.drafted, item.accepted, item.emitted) for item in answer.rounds])


def toy_pair(vocab: int = 8, scale: float = 2.0) -> Engine:
    target = toy(vocab, seed=11, scale=scale)
    return Engine(target, cousin(target, 0.7))


@pytest.fixture(scope="module")
def opt_engine(opt_pair: tuple[Path, Path]) -> Engine:
    """A pair that often agrees: the target in float32, and in bfloat16 as its own draft."""
    return Engine(load_model(opt_pair[0]), load_model(opt_pair[0], dtype="bfloat16"))


@pytest.fixture(scope="module")
def strangers(opt_pair: tuple[Path, Path]) -> Engine:
    return Engine(*(load_model(directory) for directory in opt_pair))


PROMPTS = [[5, 7, 2], [7], [1, 2, 3, 4, 5, 6], [3, 0]]


@pytest.mark.parametrize(("fallback", "rollback"), THRESHOLDS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_toy_answers_and_rounds_follow_the_slow_reading(fallback: float, rollback: float, temperature: float) -> None:
    engine = toy_pair()
    options = {"fallback_threshold": fallback, "rollback_threshold": rollback, "max_new_tokens": 14}
    for most in (1, 3, 10):
        for stops in ([], [4], [1, 6]):
            more = {**options, "max_draft_tokens": most}
            answers = engine.generate(
                PROMPTS, method="bild", seed=[5, 6, 7, 8], temperature=temperature, stop_token_ids=stops, **more
            )
            for prompt, seed, answer in zip(PROMPTS, (5, 6, 7, 8), answers, strict=True):
                right = bild(
                    engine.target.after, engine.draft.after, prompt,
                    stops=stops, sampling=Sampling(temperature), seed=seed, **more,
                )  # fmt: skip
                assert account(answer) == right


@pytest.mark.slow
@pytest.mark.parametrize("name", ["opt_engine", "strangers"])
@pytest.mark.parametrize(("fallback", "rollback"), THRESHOLDS)
def test_opt_answers_and_rounds_follow_the_slow_reading(
    name: str, fallback: float, rollback: float, request: pytest.FixtureRequest
) -> None:
    engine = request.getfixturevalue(name)
    large, small = after_of(engine.target), after_of(engine.draft)
    options = {"fallback_threshold": fallback, "rollback_threshold": rollback, "max_new_tokens": 10}
    whole = engine.generate(PROMPTS, method="bild", ignore_eos=True, **options)
    for stops in ([], [whole[0].tokens[4]], [whole[1].tokens[-1], whole[2].tokens[0]]):
        for batch in (PROMPTS[:1], PROMPTS):
            answers = engine.generate(batch, method="bild", ignore_eos=True, stop_token_ids=stops, **options)
            for prompt, answer in zip(batch, answers, strict=True):
                assert account(answer) == bild(large, small, prompt, stops=stops, **options)


@given(
    prompt=st.lists(st.integers(0, 7), min_size=1, max_size=6),
    fallback_threshold=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
    rollback_threshold=st.one_of(st.sampled_from([0.0, INF]), st.floats(0, 8)),
    max_draft_tokens=st.integers(1, 12),
    max_new_tokens=st.integers(1, 16),
    stops=st.lists(st.integers(0, 7), max_size=2),
)
@settings(max_examples=80, deadline=None)
def test_the_reading_is_followed_under_random_settings(prompt: list[int], stops: list[int], **options: float) -> None:
    engine = toy_pair()
    answer = engine.generate(prompt, method="bild", stop_token_ids=stops, **options)
    assert account(answer) == bild(engine.target.after, engine.draft.after, prompt, stops=stops, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", range(1, 9))
def test_a_tail_at_the_limit_or_at_a_stop_token_is_verified(limit: int) -> None:
    """The draft is never believed unseen: with rollback 0 its every wrong token is replaced, the last ones too."""
    target = toy(16, seed=3)
    engine = Engine(target, Toy(target.table.roll(1, -1) * 30))
    right = engine.generate([1, 2], method="as", max_new_tokens=limit)
    for stop in {*right.tokens, *range(16)}:
        wanted = engine.generate([1, 2], method="as", max_new_tokens=limit, stop_token_ids=[stop])
        got = engine.generate(
            [1, 2],
            method="bild",
            max_new_tokens=limit,
            stop_token_ids=[stop],
            fallback_threshold=0.0,
            rollback_threshold=0.0,
        )
        assert (got.tokens, got.finish_reason) == (wanted.tokens, wanted.finish_reason)


SCALES = {"plain": 2.0, "saturated": 500.0, "huge": 1e30}


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_fallback_1_is_exactly_plain_decoding(scale: float, temperature: float) -> None:
    engine = toy_pair(scale=scale)
    options = {"max_new_tokens": 12, "temperature": temperature, "seed": [1, 2, 3, 4]}
    for rollback in (0.0, 3.0, INF):
        answers = engine.generate(
            PROMPTS, method="bild", fallback_threshold=1.0, rollback_threshold=rollback, **options
        )
        plain = engine.generate(PROMPTS, method="as", **options)
        assert [answer.tokens for answer in answers] == [answer.tokens for answer in plain]
        assert all(answer.acceptance_length == 1.0 and answer.acceptance_rate is None for answer in answers)


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("fallback", [0.0, 0.5, 0.999, 1.0])
def test_rollback_0_is_plain_decoding_at_temperature_0(scale: float, fallback: float) -> None:
    engine = toy_pair(scale=scale)
    answers = engine.generate(
        PROMPTS, method="bild", fallback_threshold=fallback, rollback_threshold=0.0, max_new_tokens=12
    )
    plain = engine.generate(PROMPTS, method="as", max_new_tokens=12)
    assert [answer.tokens for answer in answers] == [answer.tokens for answer in plain]


@pytest.mark.parametrize("banned", [False, True])
@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_fallback_0_with_rollback_infinity_is_the_small_model_bonus_tokens_aside(scale: float, banned: bool) -> None:
    target = toy(8, seed=11, scale=scale)
    small = toy(8, seed=12, scale=scale)
    if banned:
        target.table[:, :7] = -INF  # -log p of every guess but one is infinite, and that isn't above infinity
    engine = Engine(target, small)
    for most in (1, 4):
        answer = engine.generate(
            [1, 2],
            method="bild",
            fallback_threshold=0.0,
            rollback_threshold=INF,
            max_draft_tokens=most,
            max_new_tokens=20,
        )
        text, place = [1, 2], 0
        for item in answer.rounds:
            assert item.accepted == item.drafted
            for token in answer.tokens[place : place + item.accepted]:
                assert token == int(small.after(text).argmax())
                text.append(token)
            text.append(answer.tokens[place + item.accepted])
            assert text[-1] == int(target.after(text[:-1]).argmax())
            place += item.emitted


def test_the_fallback_looks_at_the_raw_distribution_whatever_the_temperature() -> None:
    engine = toy_pair()
    drafted = [
        engine.generate(
            [1, 2],
            method="bild",
            max_new_tokens=11,
            temperature=heat,
            top_k=1,
            fallback_threshold=0.5,
            rollback_threshold=INF,
        ).rounds
        for heat in (0.0, 0.01, 100.0)
    ]
    assert drafted[0] == drafted[1] == drafted[2]


def test_planted_bug_a_fallback_that_keeps_the_unsure_token_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from draftwise.drafters.small_model import SmallModelDrafter

    engine = toy_pair()
    options = {"fallback_threshold": 0.6, "rollback_threshold": 3.0, "max_new_tokens": 14}
    right = bild(engine.target.after, engine.draft.after, [1, 2], **options)  # type: ignore[arg-type]
    assert account(engine.generate([1, 2], method="bild", **options)) == right
    real = SmallModelDrafter._sure
    monkeypatch.setattr(SmallModelDrafter, "_sure", staticmethod(lambda logits, threshold: real(logits, threshold / 2)))
    assert account(engine.generate([1, 2], method="bild", **options)) != right
