"""A small model that drafts token by token: a fixed number of them, or until it is unsure."""

from __future__ import annotations

import torch
from torch import Tensor

from draftwise.decoding.loop import prefill
from draftwise.decoding.random import Stream
from draftwise.decoding.sampling import draw, probabilities
from draftwise.decoding.types import Context, Draft
from draftwise.models.protocol import Cache, CausalLM, is_encoder_decoder


class SmallModelDrafter:
    """Drafts with a causal language model.

    A row's draft ends at ``most`` tokens, at a stop token, and, where ``fallback_threshold`` is given, before the first
    token whose distribution peaks below it (BiLD's fallback, Kim et al. 2023, section 3.2). That rule looks at the
    distribution before anything is drawn from it, never at the drawn token, so it doesn't bias what is kept.

    A row that outgrows the model's context is drafted for no more: the target carries on alone. The model may lie on
    another device than the target and its context.
    """

    def __init__(self, model: CausalLM, most: int, stops: Tensor, fallback_threshold: float | None = None) -> None:
        """Draft with ``model``; ``stops`` [E] are the ids that end a text."""
        self.model = model
        self.most = most
        self.stops = stops
        self.fallback_threshold = fallback_threshold
        self.cache: Cache = None
        self._reach: Tensor | None = None  # the length from which on a row isn't drafted for, [B]; None: none has one

    def prefill(self, context: Context) -> None:
        """Fill the cache with the prompts but for their last tokens."""
        self._reach = self._reach_of(context)
        if self._reach is None or bool((context.lengths < self._reach).any()):
            self.cache = prefill(self.model, context, min(context.ids.shape[1], self.model.max_positions))

    def propose(self, context: Context, room: Tensor) -> Draft:
        """Draft up to ``most`` tokens a row, as ``Drafter.propose`` says."""
        tokens: list[Tensor] = []
        distributions: list[Tensor] = []
        room = self._room(context, room)
        going = room > 0
        lengths = torch.zeros_like(room)
        # After a full acceptance the cache lacks the draft's own last token. Feeding the last two tokens always is
        # right in every case: writing an entry again with the same token at the same place changes nothing.
        backlog = 1 if context.fresh else 2
        feed, starts = context.last(backlog), context.lengths - backlog
        for place in range(min(self.most, int(room.max()))):
            logits = self._pass(feed, starts, context.longest + place)
            if self.fallback_threshold is not None:
                going = going & self._sure(logits, self.fallback_threshold)
                if not going.any():
                    break
            token = self._choose(context, logits, place, distributions)
            tokens.append(token)
            lengths = lengths + going
            going = going & (lengths < room) & ~(token[:, None] == self.stops).any(-1)
            if not going.any():
                break
            feed, starts = token[:, None], context.lengths + place
        if not tokens:
            return Draft(context.ids[:, :0], lengths, None)
        return Draft(torch.stack(tokens, 1), lengths, torch.stack(distributions, 1) if distributions else None)

    def _reach_of(self, context: Context) -> Tensor | None:
        """Where the model's context ends, and 0 for a row whose prompt its encoder can't hold."""
        model, sources = self.model, context.sources or ()
        lost = [is_encoder_decoder(model) and len(source) > model.max_source_tokens for source in sources]
        if context.ids.shape[1] <= model.max_positions and not any(lost):
            return None
        reach = torch.full_like(context.lengths, model.max_positions + 1)  # the last guess isn't fed to it
        return reach.masked_fill(torch.tensor(lost, device=reach.device), 0) if lost else reach

    def _room(self, context: Context, room: Tensor) -> Tensor:
        """How many of ``room`` [B] tokens a row is drafted for."""
        return room if self._reach is None else torch.minimum(room, self._reach - context.lengths).clamp(min=0)

    def _pass(self, feed: Tensor, starts: Tensor, span: int) -> Tensor:
        """Logits [B, V] after the last token of ``feed`` [B, T], on the context's device."""
        place = self.model.device
        span = min(span, self.model.max_positions)
        logits = self.model.forward(feed.to(place), starts.to(place), self.cache, span=span, keep=1)
        return logits[:, 0].to(feed.device)

    @staticmethod
    def _sure(logits: Tensor, threshold: float) -> Tensor:
        """Which rows go on drafting, [B]; at a threshold of 1 none does, however saturated the softmax is."""
        if threshold >= 1.0:
            return torch.zeros_like(logits[:, 0], dtype=torch.bool)
        return logits.softmax(-1).amax(-1) >= threshold

    @staticmethod
    def _choose(context: Context, logits: Tensor, place: int, distributions: list[Tensor]) -> Tensor:
        """Each row's next guess [B]; a distribution that it is drawn from is added to the list."""
        if context.sampling.greedy:
            return logits.argmax(-1)
        q = probabilities(logits, context.sampling)
        distributions.append(q)
        return draw(q, context.uniforms(Stream.DRAFT, 1, first=place)[:, 0])
