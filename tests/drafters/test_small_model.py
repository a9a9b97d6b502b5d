from __future__ import annotations

import pytest
import torch

from draftwise import Engine
from draftwise.decoding.types import Context, Sampling
from draftwise.drafters.none import NoDrafter
from draftwise.drafters.small_model import SmallModelDrafter
from draftwise.starting import start
from toys import Toy, cousin, toy

GREEDY = Sampling()
NONE = torch.empty(0, dtype=torch.int64)
PROMPTS = [[5, 7, 2], [7], [1, 2, 3, 4, 5, 6], [3, 0]]


def context_of(prompts: list[list[int]], sampling: Sampling = GREEDY, room: int = 8) -> Context:
    seeds = range(len(prompts))
    return start(prompts, seeds, sampling, max_new_tokens=room + 1, slack=20, chunk=512, device=torch.device("cpu"))


def alone(model: Toy, prompt: list[int], count: int) -> list[int]:
    text = list(prompt)
    for _ in range(count):
        text.append(int(model.after(text).argmax()))
    return text[len(prompt) :]


def test_no_drafter_guesses_nothing() -> None:
    draft = NoDrafter().propose(context_of(PROMPTS), torch.full((4,), 8))
    assert draft.tokens.shape == (4, 0)
    assert draft.lengths.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("most", [1, 3, 8])
def test_each_row_is_drafted_as_the_model_alone_would_go_on(most: int) -> None:
    model = toy(8, seed=1)
    drafter, context = SmallModelDrafter(model, most, NONE), context_of(PROMPTS)
    drafter.prefill(context)
    draft = drafter.propose(context, torch.full((4,), 8))
    assert draft.lengths.tolist() == [most] * 4
    assert draft.tokens.tolist() == [alone(model, prompt, most) for prompt in PROMPTS]


def test_a_row_never_drafts_beyond_its_room() -> None:
    drafter, context = SmallModelDrafter(toy(8, seed=1), 5, NONE), context_of(PROMPTS)
    drafter.prefill(context)
    assert drafter.propose(context, torch.tensor([0, 1, 3, 7])).lengths.tolist() == [0, 1, 3, 5]


def test_a_draft_ends_at_a_stop_token_and_keeps_it() -> None:
    model = toy(8, seed=1)
    texts = [alone(model, prompt, 6) for prompt in PROMPTS]
    for stop in range(8):
        drafter, context = SmallModelDrafter(model, 6, torch.tensor([stop])), context_of(PROMPTS)
        drafter.prefill(context)
        lengths = drafter.propose(context, torch.full((4,), 8)).lengths.tolist()
        assert lengths == [text.index(stop) + 1 if stop in text else 6 for text in texts]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_a_draft_stops_before_the_first_unsure_token(threshold: float) -> None:
    model = toy(8, seed=1)
    drafter, context = SmallModelDrafter(model, 6, NONE, threshold), context_of(PROMPTS)
    drafter.prefill(context)
    draft = drafter.propose(context, torch.full((4,), 8))
    for row, prompt in enumerate(PROMPTS):
        text = alone(model, prompt, 6)
        sure = [float(model.after(prompt + text[:place]).softmax(-1).max()) >= threshold for place in range(6)]
        assert int(draft.lengths[row]) == ([*sure, False].index(False) if threshold < 1 else 0)


@pytest.mark.parametrize("sampling", [Sampling(1.0), Sampling(0.5, 3), Sampling(1.0, 0, 0.8)])
def test_a_sampled_draft_carries_the_distribution_that_each_token_came_from(sampling: Sampling) -> None:
    from draftwise.decoding.sampling import probabilities

    model = toy(8, seed=1)
    drafter, context = SmallModelDrafter(model, 4, NONE), context_of(PROMPTS, sampling)
    drafter.prefill(context)
    draft = drafter.propose(context, torch.full((4,), 8))
    assert draft.probabilities is not None
    for row, prompt in enumerate(PROMPTS):
        for place in range(4):
            q = probabilities(model.after(prompt + draft.tokens[row, :place].tolist()), sampling)
            assert draft.probabilities[row, place].tolist() == pytest.approx(q.tolist(), abs=1e-6)
            assert q[draft.tokens[row, place]] > 0


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("gamma", [1, 2, 5, 11])
def test_a_draft_that_is_the_target_is_always_accepted(gamma: int, temperature: float) -> None:
    """Full acceptance leaves the draft's own last token out of its cache; a round later it must be there."""
    model = toy(8, seed=1)
    for prompts in (PROMPTS, PROMPTS[1:2]):
        for answer in Engine(model, model).generate(
            prompts, method="sps", gamma=gamma, temperature=temperature, max_new_tokens=40
        ):
            assert answer.acceptance_rate == 1.0
            assert len(answer.rounds) == -(-40 // (gamma + 1))


@pytest.mark.parametrize("method", ["sps", "bild"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_drafts_logits_are_those_of_a_fresh_prefill_in_every_round(
    method: str, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = toy(8, seed=1)
    engine = Engine(target, cousin(target, 0.7))
    real = SmallModelDrafter._choose
    seen = []

    def choose(context, logits, place, distributions):  # type: ignore[no-untyped-def]
        seen.append((context.lengths.clone(), place, logits))
        return real(context, logits, place, distributions)

    monkeypatch.setattr(SmallModelDrafter, "_choose", staticmethod(choose))
    propose = SmallModelDrafter.propose
    checked = []

    def proposing(self, context, room):  # type: ignore[no-untyped-def]
        seen.clear()
        draft = propose(self, context, room)
        for lengths, place, logits in seen:
            for row in range(len(PROMPTS)):
                if place < int(draft.lengths[row]):
                    text = context.ids[row, : int(lengths[row])].tolist() + draft.tokens[row, :place].tolist()
                    checked.append(bool(logits[row, 0].equal(engine.draft.after(text))))
        return draft

    monkeypatch.setattr(SmallModelDrafter, "propose", proposing)
    engine.generate(PROMPTS, method=method, temperature=temperature, max_new_tokens=20, fallback_threshold=0.3)
    assert len(checked) > 50
    assert all(checked)
