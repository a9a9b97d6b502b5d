"""The exact law of a method's output: every way a round can go, through the real drafter, verifier and loop, weighted.

Random numbers are chosen, not drawn. A row of the batch is one way: which tokens are drafted, after how many of them
the first is refused, and which token follows. Each acceptance number is put just on the wanted side of its decision's
boundary, and the row weighs the probability that a uniform number falls on that side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from itertools import product

import pytest
import torch
from torch import Tensor

from draftwise.decoding import sampling as maths
from draftwise.decoding.loop import decode
from draftwise.decoding.random import Stream
from draftwise.decoding.types import Context, Drafter, Sampling, Verifier
from draftwise.drafters import small_model
from draftwise.models.protocol import CausalLM
from draftwise.starting import prefill, start
from draftwise.verifiers import rejection

Law = dict[tuple[int, ...], float]


class Scripted(Context):
    """A context whose acceptance numbers follow a script; ``chances`` are those that the verifier last worked out."""

    refused: Tensor  # [B], the place of the first refused token, or beyond the draft
    weights: Tensor  # [B] float64
    chances: Tensor  # [B, K]

    def uniforms(self, stream: Stream, count: int, first: int = 0) -> Tensor:
        if stream is not Stream.ACCEPT:
            return torch.zeros(self.ids.shape[0], count, dtype=torch.float64)
        refuse = torch.arange(count) >= self.refused[:, None]
        examined = torch.arange(count) <= self.refused[:, None]
        odds = torch.where(refuse, 1 - self.chances, self.chances)
        self.weights *= torch.where(examined, odds, 1.0).prod(-1)
        below = torch.nextafter(self.chances, torch.zeros_like(self.chances))
        return torch.where(refuse, self.chances, below)


def draws(context: Scripted, scripts: list[Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A ``draw`` that is given, one call after the other, the numbers that draw the scripts' tokens."""

    def scripted(p: Tensor, uniform: Tensor) -> Tensor:
        wanted = scripts.pop(0)
        shares = p / p.sum(-1, keepdim=True)
        share = shares.gather(-1, wanted[:, None])[:, 0]
        middle = shares.cumsum(-1).gather(-1, wanted[:, None])[:, 0] - share / 2
        drawn = maths.draw(p, middle)
        assert drawn[share > 1e-9].equal(wanted[share > 1e-9])
        context.weights *= share
        return drawn

    return scripted


def one_round(
    prompt: Sequence[int],
    room: int,
    target: CausalLM,
    drafter: Callable[[], Drafter],
    verifier: Verifier,
    sampling: Sampling,
    stops: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> Law:
    """The law of the block that one round adds to a text with ``room`` tokens left."""
    guesser = drafter()
    vocab, drafted = target.vocab_size, min(guesser.most, room - 1)
    ways = list(product(*[range(vocab)] * drafted, range(drafted + 1), range(vocab)))
    script = torch.tensor(ways)
    plain = start(
        [prompt] * len(ways), [0] * len(ways), sampling,
        max_new_tokens=room, slack=guesser.most + 1, chunk=512, device=torch.device("cpu"),
    )  # fmt: skip
    context = Scripted(**{item.name: getattr(plain, item.name) for item in fields(Context)})
    context.refused = script[:, drafted]
    context.weights = torch.ones(len(ways), dtype=torch.float64)
    real = rejection.acceptance

    def acceptance(p: Tensor, q: Tensor, tokens: Tensor) -> Tensor:
        context.chances = real(p, q, tokens)
        return context.chances

    with monkeypatch.context() as patch:
        patch.setattr(rejection, "acceptance", acceptance)
        guesses = list(script[:, :drafted].T)
        patch.setattr(small_model, "draw", draws(context, guesses))
        patch.setattr(rejection, "draw", draws(context, [script[:, -1]]))
        cache = prefill(target, context)
        guesser.prefill(context)
        commits = next(decode(target, cache, guesser, verifier, context, stops))
    used = drafted - len(guesses)  # where every row stopped early, ways that differ beyond that are one way
    context.weights[(script[:, used:drafted] != 0).any(-1) | (context.refused > used)] = 0.0
    law: Law = {}
    for new, weight in zip(commits, context.weights.tolist(), strict=True):
        assert new is not None
        if weight > 0:
            law[new.tokens] = law.get(new.tokens, 0.0) + weight
    return law


def exact_law(
    prompt: Sequence[int],
    length: int,
    target: CausalLM,
    drafter: Callable[[], Drafter],
    verifier: Verifier,
    sampling: Sampling,
    stops: Sequence[int],
    monkeypatch: pytest.MonkeyPatch,
) -> Law:
    """The joint law of a whole answer of at most ``length`` tokens: round after round, every way."""
    ends = torch.tensor(stops, dtype=torch.int64)
    rounds: dict[tuple[int, ...], Law] = {}
    unfinished: Law = {(): 1.0}
    law: Law = {}
    while unfinished:
        text, chance = min(unfinished.items(), key=lambda item: len(item[0]))
        del unfinished[text]
        if text and (len(text) == length or text[-1] in stops):
            law[text] = law.get(text, 0.0) + chance
            continue
        if text not in rounds:
            context = [*prompt, *text]
            room = length - len(text)
            rounds[text] = one_round(context, room, target, drafter, verifier, sampling, ends, monkeypatch)
        for block, odds in rounds[text].items():
            longer = text + block
            unfinished[longer] = unfinished.get(longer, 0.0) + chance * odds
    return law
