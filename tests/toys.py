"""Toy causal language models with a cache that notices a hole, the laws that they define, and a drafter with a bug."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import torch
from torch import Tensor

from draftwise.decoding.sampling import probabilities
from draftwise.decoding.types import Context, Draft, Sampling
from draftwise.drafters.small_model import SmallModelDrafter
from draftwise.models.protocol import BackendFacts, Cache, CausalLM

NEVER_WRITTEN = -1
_ROWS = 4093
_PRIME = (1 << 31) - 1


@dataclass
class Toy:
    """Logits are a row of a table, chosen by a hash of the whole text so far, which it reads from its cache.

    A stale or skipped cache entry therefore changes every later logit, and reading one that was never written raises.
    Logits depend on nothing but the text: not on the batch, nor on how many tokens share a pass. What is fed beyond
    ``max_positions`` leaves no trace, and its logits mean nothing.
    """

    table: Tensor  # [rows, V]
    eos_token_ids: tuple[int, ...] = ()
    max_positions: int = 64
    implementation: str = "own"
    backend: BackendFacts = BackendFacts("toy", exact=True)
    start_token_id: int | None = None
    passes: list[int] = field(default_factory=list)  # T of each pass that gave logits
    fills: list[int] = field(default_factory=list)  # T of each pass that gave none
    capacities: list[int] = field(default_factory=list)
    device: torch.device = torch.device("cpu")
    bytes_per_pass: int = 0

    @property
    def vocab_size(self) -> int:
        return self.table.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self.table.dtype

    def new_cache(self, batch: int, capacity: int) -> Tensor:
        self.capacities.append(capacity)
        return torch.full((batch, capacity + 1), NEVER_WRITTEN)

    def forward(self, tokens: Tensor, starts: Tensor, cache: Tensor, *, span: int, keep: int) -> Tensor:
        steps, capacity = tokens.shape[1], cache.shape[1] - 1
        positions = starts[:, None] + torch.arange(steps)
        beyond = positions >= self.max_positions
        assert bool((positions[~beyond] < span).all()) and span <= capacity
        positions[beyond] = capacity
        cache.scatter_(1, positions, tokens)
        if keep == 0:
            self.fills.append(steps)
            return torch.zeros(tokens.shape[0], 0, self.vocab_size, dtype=self.dtype)
        self.passes.append(steps)
        visible = cache[:, :span]
        reached = torch.arange(span) < (starts + steps).clamp(max=self.max_positions)[:, None]
        inside = starts < self.max_positions
        assert not bool(((visible == NEVER_WRITTEN) & reached)[inside].any()), "a hole in the cache"
        sums = ((visible + 1) * _factors(span)).cumsum(1)
        return self.table[_bucket(sums.gather(1, positions[:, -keep:].clamp(max=span - 1)), self.table.shape[0])]

    def after(self, ids: Sequence[int]) -> Tensor:
        """The logits [V] after a text, without any cache."""
        text = torch.tensor([*ids])
        return self.table[_bucket(((text + 1) * _factors(len(ids))).sum(), self.table.shape[0])]


def _factors(count: int) -> Tensor:
    return (torch.arange(1, count + 1) * 1_103_515_245 + 12_345) % _PRIME


def _bucket(sums: Tensor, rows: int) -> Tensor:
    return (sums % _PRIME * 48_271) % _PRIME % rows


def toy(vocab: int = 8, seed: int = 0, scale: float = 2.0, dtype: torch.dtype = torch.float32, **more: object) -> Toy:
    """A random table of logits; the larger ``scale``, the surer the model."""
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(_ROWS, vocab, generator=generator, dtype=torch.float64) * scale
    return Toy(table.to(dtype), **more)  # type: ignore[arg-type]


def cousin(model: Toy, share: float, seed: int = 99) -> Toy:
    """A draft that agrees with a model's argmax at about that share of contexts, and with its distribution at none."""
    generator = torch.Generator().manual_seed(seed)
    agrees = torch.rand(model.table.shape[0], 1, generator=generator) < share
    return Toy(
        torch.where(agrees, model.table, model.table.roll(1, -1)) * 0.7, model.eos_token_ids, model.max_positions
    )


class Wayward:
    """A model whose logits are rolled by one token at every n-th position: a draft that is wrong there alone."""

    def __init__(self, inner: CausalLM, every: int) -> None:
        self.inner = inner
        self.every = every

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def forward(self, tokens: Tensor, starts: Tensor, cache: Cache, *, span: int, keep: int) -> Tensor:
        logits = self.inner.forward(tokens, starts, cache, span=span, keep=keep)
        positions = (starts[:, None] + torch.arange(tokens.shape[1]))[:, tokens.shape[1] - keep :, None]
        return torch.where(positions % self.every == 0, logits.roll(1, -1), logits)


class Anticipating(SmallModelDrafter):
    """Planted: a token that came out unlikely is thrown away, and the draft stops there."""

    def propose(self, context: Context, room: Tensor) -> Draft:
        draft = super().propose(context, room)
        if draft.probabilities is None:
            return draft
        likely = draft.probabilities.gather(-1, draft.tokens[..., None])[..., 0] >= 0.3
        return Draft(draft.tokens, torch.minimum(draft.lengths, likely.long().cumprod(-1).sum(-1)), draft.probabilities)


After = Callable[[Sequence[int]], Tensor]


def after_of(model: CausalLM) -> After:
    """A model's logits [V] after a text, each time by a fresh pass over all of it."""

    def after(ids: Sequence[int]) -> Tensor:
        tokens = torch.tensor([list(ids)])
        cache = model.new_cache(1, len(ids))
        return model.forward(tokens, torch.zeros(1, dtype=torch.int64), cache, span=len(ids), keep=1)[0, 0]

    return after


def texts(vocab: int, length: int, stops: Sequence[int] = ()) -> Iterator[tuple[int, ...]]:
    """Every answer of ``length`` tokens, or shorter ones where a stop token ends them."""
    for text in product(range(vocab), repeat=length):
        ends = [place for place, token in enumerate(text) if token in stops]
        if not ends or ends[0] == length - 1:
            yield text
        elif all(token == 0 for token in text[ends[0] + 1 :]):  # one of the texts that share the shorter one
            yield text[: ends[0] + 1]


def law(model: Toy, prompt: Sequence[int], length: int, sampling: Sampling, stops: Sequence[int] = ()) -> dict:
    """The probability of each answer, token by token from the model alone."""
    chances = {}
    for text in texts(model.vocab_size, length, stops):
        chance = 1.0
        for place, token in enumerate(text):
            logits = model.after([*prompt, *text[:place]]).to(torch.float64)
            chance *= float(probabilities(logits, sampling)[token])
        chances[text] = chance
    return chances
