"""χ² of what the real loop draws, 100,000 rows in one batch, against the exact law; and the bugs that it must catch."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
import torch
from scipy import stats
from torch import Tensor

from draftwise.decoding.loop import decode
from draftwise.decoding.random import Stream, uniforms
from draftwise.decoding.types import Context, Drafter, Sampling
from draftwise.drafters.none import NoDrafter
from draftwise.drafters.small_model import SmallModelDrafter
from draftwise.starting import prefill, start
from draftwise.verifiers import rejection
from draftwise.verifiers.rejection import RejectionVerifier
from toys import Anticipating, cousin, law, toy

DRAWS = 100_000
FEWER = 20_000  # a planted bug must be caught by a weaker test than the one that the right code passes
LENGTH = 3
PROMPT = (1, 0, 2)
SOUND, CAUGHT = 1e-3, 1e-9  # the p-values between them would tell nothing
SAMPLINGS = {
    "temperature 1": Sampling(1.0),
    "temperature 0.5": Sampling(0.5),
    "temperature 1, top-k": Sampling(1.0, top_k=3),
    "temperature 0.5, top-k": Sampling(0.5, top_k=3),
    "temperature 1, top-p": Sampling(1.0, top_p=0.8),
    "temperature 0.5, top-p": Sampling(0.5, top_p=0.8),
}
TARGET = toy(4, seed=21, scale=1.0)
DRAFT = cousin(TARGET, 0.4)


def p_value(
    sampling: Sampling,
    make: type[SmallModelDrafter] | None = SmallModelDrafter,
    *,
    draws: int = DRAWS,
    first_seed: int = 0,
) -> float:
    """Of a χ² test of the first tokens' joint law; 0 where a text was drawn that the law forbids."""
    none = torch.empty(0, dtype=torch.int64)
    drafter: Drafter = make(DRAFT, 2, none) if make else NoDrafter()
    with torch.inference_mode():
        context = start(
            [PROMPT] * draws, range(first_seed, first_seed + draws), sampling,
            max_new_tokens=LENGTH, slack=drafter.most + 1, chunk=512, device=torch.device("cpu"),
        )  # fmt: skip
        cache = prefill(TARGET, context)
        drafter.prefill(context)
        for _ in decode(TARGET, cache, drafter, RejectionVerifier(), context, none):
            pass
    drawn = Counter(map(tuple, context.ids[:, len(PROMPT) : len(PROMPT) + LENGTH].tolist()))
    chances = law(TARGET, PROMPT, LENGTH, sampling)
    if any(chances[text] == 0 for text in drawn):
        return 0.0
    cells = [[0.0, 0.0]]
    for text in sorted(chances, key=chances.__getitem__):  # the rarest share a cell, so that each expects ten or more
        if cells[-1][1] >= 10:
            cells.append([0.0, 0.0])
        cells[-1][0] += drawn[text]
        cells[-1][1] += chances[text] * draws
    observed, expected = zip(*cells, strict=True)
    return float(stats.chisquare(observed, expected).pvalue)


@pytest.mark.slow
@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
def test_speculation_draws_from_the_targets_law(sampling: Sampling) -> None:
    assert p_value(sampling) > SOUND


@pytest.mark.slow
def test_plain_decoding_draws_from_the_targets_law() -> None:
    assert p_value(Sampling(1.0), None, first_seed=2**40) > SOUND


@pytest.mark.slow
@pytest.mark.parametrize("name", ["temperature 1", "temperature 0.5, top-k", "temperature 1, top-p"])
def test_planted_bug_no_residual_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejection, "residual", lambda p, q: p)
    assert p_value(SAMPLINGS[name], draws=FEWER) < CAUGHT


def reused(context: Context, stream: Stream, count: int, first: int = 0, *, how: str) -> Tensor:
    """Planted: numbers that decide twice."""
    if how == "one number for every acceptance" and stream is Stream.ACCEPT:
        return uniforms(context.seeds, context.lengths, stream, 0, 1).expand(-1, count)
    if how == "the draft's number for its acceptance" and stream is Stream.ACCEPT:
        return uniforms(context.seeds, context.lengths, Stream.DRAFT, first, count)
    if how == "the acceptance's number for what comes instead" and stream is Stream.NEXT:
        return uniforms(context.seeds, context.lengths, Stream.ACCEPT, first, count)
    if how == "the same numbers every round":
        return uniforms(context.seeds, torch.zeros_like(context.lengths), stream, first, count)
    return uniforms(context.seeds, context.lengths, stream, first, count)


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        "one number for every acceptance",
        "the draft's number for its acceptance",
        "the acceptance's number for what comes instead",
        "the same numbers every round",
    ],
)
def test_planted_bug_a_reused_random_number_is_caught(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def bugged(context: Context, stream: Stream, count: int, first: int = 0) -> Tensor:
        return reused(context, stream, count, first, how=how)

    monkeypatch.setattr(Context, "uniforms", bugged)
    assert p_value(Sampling(1.0), draws=FEWER) < CAUGHT


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_planted_bug_an_anticipating_stop_is_caught(temperature: float) -> None:
    assert p_value(Sampling(temperature), Anticipating, draws=FEWER) < CAUGHT


@pytest.mark.slow
def test_a_stop_by_the_distribution_alone_passes_where_the_anticipating_one_fails() -> None:
    assert p_value(Sampling(1.0), partial(SmallModelDrafter, fallback_threshold=0.5)) > SOUND  # type: ignore[arg-type]
