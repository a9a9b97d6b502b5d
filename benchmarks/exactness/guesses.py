"""A draft that costs next to nothing and is wrong as often as wanted: it knows the answers, and errs by the dice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from draftwise.models.protocol import BackendFacts, Cache, CausalLM


class Guesses:
    """Guesses the right token at a share of the places and any other id elsewhere; behind an answer's end it errs.

    A trained draft agrees with its target for long stretches. Here every pattern of right and wrong occurs, so a
    round is cut at each width. It is a ``CausalLM``; row r of a batch is row r of the texts.
    """

    implementation = "own"
    start_token_id = None
    eos_token_ids: tuple[int, ...] = ()
    bytes_per_pass = 0
    backend = BackendFacts(name="guesses", exact=True)

    def __init__(self, target: CausalLM, texts: Sequence[Sequence[int]], share: float, seed: int = 0) -> None:
        """Know whole texts, prompt and answer, and be right at a ``share`` of the places."""
        self.vocab_size = target.vocab_size
        self.max_positions = target.max_positions
        self.device = target.device
        self.dtype = target.dtype
        generator = torch.Generator().manual_seed(seed)
        size = (len(texts), max(map(len, texts)) + 1)
        ids = torch.randint(self.vocab_size, size, generator=generator)
        right = torch.rand(size, generator=generator) < share
        for row, text in enumerate(texts):
            known = torch.tensor(text)
            ids[row, : len(text)] = torch.where(right[row, : len(text)], known, ids[row, : len(text)])
        self._ids = ids.to(self.device)  # [B, N], the guess at each position

    def new_cache(self, batch: int, capacity: int) -> Cache:
        """Nothing is kept."""
        return ()

    def forward(self, tokens: Tensor, starts: Tensor, cache: Cache, *, span: int, keep: int) -> Tensor:
        """Logits of 1 for the guesses after the last ``keep`` positions and of 0 for all else, [B, keep, V]."""
        steps = tokens.shape[1]
        places = starts[:, None] + torch.arange(steps - keep, steps, device=self.device) + 1
        guesses = self._ids.gather(1, places.clamp(max=self._ids.shape[1] - 1))
        return torch.nn.functional.one_hot(guesses, self.vocab_size).float()
