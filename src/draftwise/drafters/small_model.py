"""A small model that drafts token by token: a fixed number of them, or until it is unsure."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from draftwise.decoding.random import Stream
from draftwise.decoding.sampling import draw, leading, most_likely, none_of, probabilities
from draftwise.decoding.types import Context, Draft
from draftwise.models.protocol import Cache, CausalLM, is_encoder_decoder
from draftwise.starting import prefill


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
        self._ends = frozenset(stops.tolist())
        self.fallback_threshold = fallback_threshold
        self.cache: Cache = None
        self._reach: Tensor | None = None  # the length from which on a row isn't drafted for, [B]; None: none has one

    @property
    def idle(self) -> bool:
        """Whether it never guesses: no prompt fits its context, or nothing is as sure as it has to be."""
        return self.cache is None or (self.fallback_threshold is not None and self.fallback_threshold >= 1.0)

    def prefill(self, context: Context) -> None:
        """Fill the cache with the prompts but for their last tokens; once more where shapes are fixed."""
        if self.cache is None:
            self._reach = self._reach_of(context)
            if context.width is None and self._reach is not None and not (context.lengths < self._reach).any():
                return
            self.cache = self.model.new_cache(context.ids.shape[0], min(context.ids.shape[1], self.model.max_positions))
        prefill(self.model, context, self.cache)

    def propose(self, context: Context, room: Tensor) -> Draft:
        """Draft up to ``most`` tokens a row, as ``Drafter.propose`` says."""
        if self.idle:
            return Draft.empty(context)
        room = self._room(context, room)
        # Where shapes needn't be fixed the host looks on, and stops where no row has a use for more.
        wanted: list[int] | None = room.tolist() if context.width is None else None
        width = min(self.most, max(wanted)) if wanted is not None else context.width or 0
        tokens: list[Tensor] = []
        sure: list[Tensor] = []
        distributions: list[Tensor] = []
        # After a full acceptance the cache lacks the draft's own last token. Feeding the last two tokens always is
        # right in every case: writing an entry again with the same token at the same place changes nothing.
        backlog = 1 if context.fresh else 2
        feed, starts = context.last(backlog), context.lengths - backlog
        for place in range(width):
            logits = self._pass(feed, starts, context.longest + place)
            if self.fallback_threshold is not None:
                sure.append(self._sure(logits, self.fallback_threshold))
                if wanted and _all_over(wanted, place, (not row[0] for row in sure[-1].tolist())):
                    break
            feed = self._choose(context, logits, place, distributions)
            tokens.append(feed)
            if wanted and _all_over(wanted, place + 1, (row[0] in self._ends for row in feed.tolist())):
                break
            starts = context.lengths + place
        if not tokens:
            return Draft.empty(context)
        guesses, q = torch.cat(tokens, 1), torch.stack(distributions, 1) if distributions else None
        return Draft(guesses, self._lengths(guesses, sure, room), q)

    def _lengths(self, tokens: Tensor, sure: list[Tensor], room: Tensor) -> Tensor:
        """How many of ``tokens`` [B, K] are guesses, [B]: up to a stop token, the first unsure place and the room."""
        lengths = room.clamp(max=tokens.shape[1])
        if self._ends:
            lengths = torch.minimum(lengths, leading(none_of(tokens[:, :-1], self.stops)) + 1)
        return torch.minimum(lengths, leading(torch.cat(sure, 1))) if sure else lengths

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
        """Logits [B, 1, V] after the last token of ``feed`` [B, T], on the context's device."""
        place = self.model.device
        span = min(span, self.model.max_positions)
        logits = self.model.forward(feed.to(place), starts.to(place), self.cache, span=span, keep=1)
        return logits.to(feed.device)

    @staticmethod
    def _sure(logits: Tensor, threshold: float) -> Tensor:
        """Whose most likely token is likely enough, [B, 1]; the logits are [B, 1, V]."""
        return logits.softmax(-1).amax(-1) >= threshold

    @staticmethod
    def _choose(context: Context, logits: Tensor, place: int, distributions: list[Tensor]) -> Tensor:
        """Each row's next guess [B, 1]; a distribution that it is drawn from is added to the list."""
        if context.sampling.greedy:
            return most_likely(logits)
        q = probabilities(logits[:, 0], context.sampling)
        distributions.append(q)
        return draw(q, context.uniforms(Stream.DRAFT, 1, first=place)[:, 0])[:, None]


def _all_over(wanted: list[int], at: int, over: Iterable[bool]) -> bool:
    """Note which rows are over at place ``at``, and say whether no row wants a guess there or beyond."""
    wanted[:] = [min(count, at) if ends else count for count, ends in zip(wanted, over, strict=True)]
    return max(wanted) <= at
