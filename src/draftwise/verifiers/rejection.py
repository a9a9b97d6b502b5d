"""Speculative sampling's verifier: the output is the target's own, in law and, at temperature 0, token for token."""

from __future__ import annotations

import torch
from torch import Tensor

from draftwise.decoding.random import Stream
from draftwise.decoding.sampling import acceptance, at, draw, leading, most_likely, probabilities, residual
from draftwise.decoding.types import Context, Draft, Verdict


class RejectionVerifier:
    """Accept-or-resample (Leviathan et al. 2023, algorithm 1; Chen et al. 2023, algorithm 2).

    At temperature 0 a draft stands while it is the target's argmax, the lowest id on an exact tie; no ratio of
    probabilities is taken. Without any draft this is plain autoregressive sampling.
    """

    def judge(self, context: Context, draft: Draft, logits: Tensor) -> Verdict:
        """As ``Verifier.judge`` says."""
        if context.sampling.greedy:
            return judge_greedy(draft, logits)
        p, drafted = probabilities(logits, context.sampling), draft.tokens.shape[1]
        uniform = context.uniforms(Stream.NEXT, 1)[:, 0]
        if draft.probabilities is None:
            return Verdict(draft.lengths, draw(p[:, 0], uniform))
        chances = acceptance(p[:, :drafted], draft.probabilities, draft.tokens)
        # Strictly below: a chance of 0 is never taken, not even by the number 0.
        kept = context.uniforms(Stream.ACCEPT, drafted) < chances
        accepted = torch.minimum(leading(kept), draft.lengths)
        bonus = at(p, accepted)
        instead = residual(bonus, at(draft.probabilities, accepted.clamp(max=drafted - 1)))
        rejected = (accepted < draft.lengths)[:, None]
        return Verdict(accepted, draw(torch.where(rejected, instead, bonus), uniform))


def judge_greedy(draft: Draft, logits: Tensor) -> Verdict:
    """Accept while the guess is the target's argmax, then take the argmax."""
    best = most_likely(logits)
    if draft.tokens.shape[1] == 0:
        return Verdict(draft.lengths, best[:, 0])
    accepted = torch.minimum(leading(draft.tokens == best[:, :-1]), draft.lengths)
    return Verdict(accepted, at(best, accepted))
