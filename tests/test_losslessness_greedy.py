"""At temperature 0 speculative sampling writes plain decoding's tokens, whatever the draft, the batch and the end."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from draftwise import Engine
from draftwise.generation import Generation
from draftwise.models.loading import load_model
from draftwise.models.protocol import CausalLM
from toys import Toy, Wayward, cousin, toy

LENGTH = 6
PROMPTS = [[5, 9, 2], [7], [1, 2, 3, 4, 5, 6], [30, 0]]
GAMMAS = range(1, 9)
DRAFTS = [
    "the target itself",
    "another model",
    "never agrees",
    "wrong at every third place",
    "wrong at every other place",
]


def account_is_right(answer: Generation, limit: int) -> bool:
    left, right = limit, True
    for item in answer.rounds:
        right &= 0 <= item.accepted <= item.drafted <= left - 1
        right &= 1 <= item.emitted <= item.accepted + 1
        left -= item.emitted
    return right and left == limit - len(answer.tokens)


def draft_of(kind: str, target: CausalLM, other: CausalLM) -> CausalLM:
    every = {"never agrees": 1, "wrong at every third place": 3, "wrong at every other place": 2}
    if kind in every:
        return Wayward(target, every[kind])  # type: ignore[return-value]
    return other if kind == "another model" else target


@pytest.fixture(scope="module", params=["float32", "float64"])
def models(request: pytest.FixtureRequest, opt_pair: tuple[Path, Path]) -> tuple[CausalLM, CausalLM]:
    target, draft = (load_model(directory, dtype=request.param) for directory in opt_pair)
    return target, draft


def varied(engine: Engine) -> list[list[int]]:
    """Ragged prompts whose answers repeat no token, so that a stop token can be had at each offset."""
    prompts = []
    for size in (3, 1, 5, 2):
        tries = [[(first + 7 * place) % 48 for place in range(size)] for first in range(48)]
        answers = engine.generate(tries, method="as", max_new_tokens=LENGTH, ignore_eos=True)
        prompts.append(next(t for t, a in zip(tries, answers, strict=True) if len(set(a.tokens)) == LENGTH))
    return prompts


def plain(engine: Engine, prompt: list[int], **options: object) -> Generation:
    return engine.generate(prompt, method="as", **options)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DRAFTS)
def test_sps_writes_what_as_writes_on_opt(models: tuple[CausalLM, CausalLM], kind: str) -> None:
    """Over γ × batch × (EOS at each offset, length limit at each offset)."""
    target, other = models
    engine = Engine(target, draft_of(kind, target, other))
    prompts = varied(engine)
    longest = plain(engine, prompts[0], max_new_tokens=LENGTH, ignore_eos=True).tokens
    ends: list[dict] = [{"max_new_tokens": limit} for limit in range(1, LENGTH + 1)]
    ends += [{"max_new_tokens": LENGTH, "stop_token_ids": [token]} for token in longest]
    for options in ends:
        wanted = [plain(engine, prompt, ignore_eos=True, **options) for prompt in prompts]
        for batch in range(1, len(prompts) + 1):
            for gamma in GAMMAS:
                answers = engine.generate(prompts[:batch], method="sps", gamma=gamma, ignore_eos=True, **options)
                for answer, right in zip(answers, wanted[:batch], strict=True):
                    assert (answer.tokens, answer.finish_reason) == (right.tokens, right.finish_reason), (
                        gamma,
                        options,
                    )
                    assert account_is_right(answer, options["max_new_tokens"])


@pytest.mark.parametrize("kind", DRAFTS)
def test_sps_writes_what_as_writes_on_opt_until_its_own_end_of_text(
    models: tuple[CausalLM, CausalLM], kind: str
) -> None:
    """The same with the end of text that the checkpoint names, at every offset of one row."""
    target, other = models
    engine = Engine(target, draft_of(kind, target, other))
    prompts = varied(engine)
    whole = plain(engine, prompts[1], max_new_tokens=LENGTH, ignore_eos=True).tokens
    named = target.eos_token_ids
    try:
        for offset, token in enumerate(whole):
            target.eos_token_ids = (token,)  # type: ignore[misc]
            answers = engine.generate(prompts, method="sps", gamma=4, max_new_tokens=LENGTH)
            assert answers[1].tokens == whole[: offset + 1]
            assert answers[1].finish_reason == "eos"
            for answer, prompt in zip(answers, prompts, strict=True):
                assert answer.tokens == plain(engine, prompt, max_new_tokens=LENGTH).tokens
    finally:
        target.eos_token_ids = named  # type: ignore[misc]


@cache
def toy_engine(kind: str, dtype: torch.dtype) -> Engine:
    target = toy(64, seed=1, dtype=dtype)
    other = Toy(cousin(target, 0.6).table.to(dtype))
    return Engine(target, draft_of(kind, target, other))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("kind", DRAFTS)
def test_sps_writes_what_as_writes_at_every_crossing_of_end_and_limit(kind: str, dtype: torch.dtype) -> None:
    engine = toy_engine(kind, dtype)
    prompts = PROMPTS[:3]
    whole = plain(engine, prompts[0], max_new_tokens=LENGTH).tokens
    assert len(set(whole)) == LENGTH, "a stop token can't be had at each offset"
    for token in whole:
        for limit in range(1, LENGTH + 1):
            options = {"max_new_tokens": limit, "stop_token_ids": [token]}
            wanted = [plain(engine, prompt, **options) for prompt in prompts]
            for gamma in (1, 2, 3, 5, 8):
                for batch in (1, 3):
                    answers = engine.generate(prompts[:batch], method="sps", gamma=gamma, **options)
                    for answer, right in zip(answers, wanted, strict=False):
                        assert (answer.tokens, answer.finish_reason) == (right.tokens, right.finish_reason)
                        assert account_is_right(answer, limit)


def test_exact_ties_go_to_the_lowest_id_for_both_models() -> None:
    target = toy(6, seed=2)
    target.table = target.table.round()  # many exact ties
    rough = Toy(target.table.clamp(max=1.0))
    engine = Engine(target, rough)
    ties = (target.table == target.table.amax(-1, keepdim=True)).sum(-1) > 1
    assert ties.float().mean() > 0.2
    for prompt in PROMPTS[:1] + [[1], [0, 0], [5, 4, 3]]:
        prompt = [token % 6 for token in prompt]
        wanted, text = [], list(prompt)
        for _ in range(12):
            wanted.append(int((logits := target.after(text)).eq(logits.max()).nonzero()[0]))
            text.append(wanted[-1])
        assert list(engine.generate(prompt, method="as", max_new_tokens=12).tokens) == wanted
        assert list(engine.generate(prompt, method="sps", max_new_tokens=12).tokens) == wanted


@given(
    prompts=st.lists(st.lists(st.integers(0, 63), min_size=1, max_size=9), min_size=1, max_size=6),
    kind=st.sampled_from(DRAFTS),
    gamma=st.integers(1, 20),
    limit=st.integers(1, 24),
    stops=st.lists(st.integers(0, 63), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_sps_writes_what_as_writes_under_random_settings(
    prompts: list[list[int]], kind: str, gamma: int, limit: int, stops: list[int]
) -> None:
    engine = toy_engine(kind, torch.float32)
    options = {"max_new_tokens": limit, "stop_token_ids": stops}
    answers = engine.generate(prompts, method="sps", gamma=gamma, **options)
    for prompt, answer in zip(prompts, answers, strict=True):
        right = plain(engine, prompt, **options)
        assert (answer.tokens, answer.finish_reason) == (right.tokens, right.finish_reason)
        assert account_is_right(answer, limit)


def test_planted_bug_a_draft_cache_with_a_hole_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeding only the last token of a round leaves the draft's own last token out of its cache."""
    from draftwise.decoding import loop

    real = loop.commit

    def forgetful(context, *rest):  # type: ignore[no-untyped-def]
        commits = real(context, *rest)
        context.fresh = True
        return commits

    engine = toy_engine("the target itself", torch.float32)
    engine.generate([1, 2], method="sps", max_new_tokens=12)
    monkeypatch.setattr(loop, "commit", forgetful)
    with pytest.raises(AssertionError, match="a hole in the cache"):
        engine.generate([1, 2], method="sps", max_new_tokens=12)
