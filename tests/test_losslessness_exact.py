"""Speculative sampling's output has exactly the target's law: every way it can go, counted and weighted in float64."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from draftwise.decoding.types import Context, Draft, Sampling
from draftwise.drafters.small_model import SmallModelDrafter
from draftwise.verifiers import rejection
from draftwise.verifiers.rejection import RejectionVerifier
from enumeration import Law, exact_law
from toys import Anticipating, Toy, cousin, law, toy

PROMPT = (1, 0, 2)
SAMPLINGS = {
    "temperature 1": Sampling(1.0),
    "temperature 0.5": Sampling(0.5),
    "temperature 3": Sampling(3.0),
    "temperature 0.01": Sampling(0.01),
    "top-k 2": Sampling(1.0, 2),
    "top-k 1": Sampling(1.0, 1),
    "top-p 0.7": Sampling(1.0, 0, 0.7),
    "all three": Sampling(0.8, 3, 0.8),
}


def target_of(vocab: int) -> Toy:
    return toy(vocab, seed=5, scale=1.2, dtype=torch.float64)


def banned(model: Toy, tokens: Sequence[int]) -> Toy:
    table = model.table.clone()
    table[:, list(tokens)] = -torch.inf
    return Toy(table)


PAIRS = {
    "a stranger": (target_of(4), toy(4, seed=6, scale=1.2, dtype=torch.float64)),
    "the target itself": (target_of(4), target_of(4)),
    "a cousin": (target_of(4), cousin(target_of(4), 0.5)),
    "a draft that is sure of itself": (target_of(4), toy(4, seed=7, scale=30.0, dtype=torch.float64)),
    "disjoint supports": (banned(target_of(4), [0, 3]), banned(toy(4, seed=8, dtype=torch.float64), [1, 2])),
    "a draft that lacks one of the target's tokens": (target_of(4), banned(target_of(4), [2])),
    "a target that lacks one of the draft's tokens": (banned(target_of(4), [2]), target_of(4)),
}


def difference(got: Law, wanted: Law) -> float:
    return max(abs(got.get(text, 0.0) - wanted.get(text, 0.0)) for text in {**got, **wanted})


def off(
    monkeypatch: pytest.MonkeyPatch,
    pair: tuple[Toy, Toy],
    sampling: Sampling,
    *,
    gamma: int = 2,
    length: int = 3,
    stops: Sequence[int] = (),
    drafter: type[SmallModelDrafter] = SmallModelDrafter,
) -> float:
    """How far the answer's law is from the target's own."""
    target, draft = pair
    ends = torch.tensor(stops, dtype=torch.int64)
    got = exact_law(
        PROMPT, length, target, lambda: drafter(draft, gamma, ends), RejectionVerifier(), sampling, stops, monkeypatch
    )
    assert sum(got.values()) == pytest.approx(1.0, abs=1e-12)
    return difference(got, law(target, PROMPT, length, sampling, stops))


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_the_joint_law_is_the_targets(
    pair: tuple[Toy, Toy], sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert off(monkeypatch, pair, sampling) < 1e-12


@pytest.mark.parametrize("gamma", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_the_law_holds_at_every_length_limit(gamma: int, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = toy(3, seed=5, dtype=torch.float64), toy(3, seed=6, dtype=torch.float64)
    assert off(monkeypatch, pair, Sampling(1.0), gamma=gamma, length=length) < 1e-12


@pytest.mark.parametrize("stops", [(0,), (2,), (1, 3)])
@pytest.mark.parametrize("gamma", [1, 3])
@pytest.mark.parametrize("name", ["a stranger", "a cousin", "the target itself"])
def test_the_law_holds_where_an_answer_may_stop_early(
    name: str, gamma: int, stops: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert off(monkeypatch, PAIRS[name], Sampling(1.0), gamma=gamma, stops=stops) < 1e-12


def test_a_draft_that_stops_by_its_distribution_alone_keeps_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careful(SmallModelDrafter):
        def __init__(self, model: Toy, most: int, stops: Tensor) -> None:
            super().__init__(model, most, stops, fallback_threshold=0.5)

    assert off(monkeypatch, PAIRS["a stranger"], Sampling(1.0), gamma=3, drafter=Careful) < 1e-12


def test_planted_bug_an_anticipating_stop_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert off(monkeypatch, PAIRS["a stranger"], Sampling(1.0), drafter=Anticipating) > 1e-3


def test_planted_bug_no_residual_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejection, "residual", lambda p, q: p)
    assert off(monkeypatch, PAIRS["a stranger"], Sampling(1.0)) > 1e-3


def test_planted_bug_a_residual_of_the_wrong_place_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = rejection.at
    monkeypatch.setattr(rejection, "at", lambda values, index: real(values, (index - 1).clamp(min=0)))
    assert off(monkeypatch, PAIRS["a stranger"], Sampling(1.0)) > 1e-3


def test_planted_bug_a_draft_of_another_temperature_than_it_says_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hot(SmallModelDrafter):
        def propose(self, context: Context, room: Tensor) -> Draft:
            draft = super().propose(context, room)
            q = draft.probabilities
            return draft if q is None else Draft(draft.tokens, draft.lengths, q.sqrt() / q.sqrt().sum(-1, keepdim=True))

    assert off(monkeypatch, PAIRS["a stranger"], Sampling(1.0), drafter=Hot) > 1e-3
