"""BiLD's verifier: the small model's text stands unless the large model finds a token very unlikely. Lossy."""

from __future__ import annotations

import torch
from torch import Tensor

from draftwise.decoding.random import Stream
from draftwise.decoding.sampling import at, draw, leading, most_likely, probabilities
from draftwise.decoding.types import Context, Draft, Verdict


class RollbackVerifier:
    """Rollback (Kim et al. 2023, section 3.3).

    Every place is examined, the first whose -log p(x) under the target's raw logits is above the threshold is cut there
    and replaced by the target's own token, and where none is, the target's next token is appended.
    """

    def __init__(self, threshold: float) -> None:
        """Roll back where -log p(x), in nats, is above ``threshold``."""
        self.threshold = threshold

    def judge(self, context: Context, draft: Draft, logits: Tensor) -> Verdict:
        """As ``Verifier.judge`` says."""
        drafted = draft.tokens.shape[1]
        surprise = -logits[:, :drafted].log_softmax(-1).gather(-1, draft.tokens[..., None])[..., 0]
        accepted = torch.minimum(leading(~(surprise > self.threshold)), draft.lengths)
        chosen = at(logits, accepted)
        if context.sampling.greedy:
            return Verdict(accepted, most_likely(chosen))
        p = probabilities(chosen, context.sampling)
        return Verdict(accepted, draw(p, context.uniforms(Stream.NEXT, 1)[:, 0]))
