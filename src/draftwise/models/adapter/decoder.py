"""Decoder-only models of transformers."""

from __future__ import annotations

import inspect
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from draftwise.models.adapter.probe import probe
from draftwise.models.adapter.rows import Row, row_cache
from draftwise.models.adapter.support import Architecture
from draftwise.models.protocol import BackendFacts


class DecoderLM:
    """A module of transformers as a ``CausalLM``; its cache is a list with a ``Row`` for each row.

    A pass runs the rows one after the other. Positions that the model can't hold, or that don't follow from what a row
    has seen, can only be asked for by a row that is finished or paused: they aren't run, and their logits are zeros.
    """

    implementation = "transformers"
    backend = BackendFacts("transformers", exact=False)

    def __init__(self, module: Any, architecture: Architecture, eos_token_ids: tuple[int, ...]) -> None:
        """Take over a module that has its weights, and try it on a few tokens."""
        self.module = module
        self.start_token_id = architecture.start_token_id
        self.max_positions = architecture.max_positions
        self.max_source_tokens = architecture.max_source_tokens
        self.eos_token_ids = eos_token_ids
        weights = module.get_input_embeddings().weight
        self.device: torch.device = weights.device
        self.dtype: torch.dtype = weights.dtype
        self._limits_logits = "logits_to_keep" in inspect.signature(module.forward).parameters
        self.vocab_size, self.bytes_per_pass = probe(self, module)

    def new_cache(self, batch: int, capacity: int) -> list[Row]:
        """Rows that have seen nothing."""
        return [Row(row_cache(self.module.config, capacity)) for _ in range(batch)]

    @torch.inference_mode()
    def forward(self, tokens: Tensor, starts: Tensor, cache: list[Row], *, span: int, keep: int) -> Tensor:
        """One pass; arguments and result as in ``CausalLM.forward``."""
        if len(cache) == 1:
            return self.forward_row(tokens, int(starts), cache[0], keep)
        rows = enumerate(zip(starts.tolist(), cache, strict=True))
        return torch.cat([self.forward_row(tokens[at : at + 1], start, row, keep) for at, (start, row) in rows])

    def forward_row(self, tokens: Tensor, start: int, row: Row, keep: int) -> Tensor:
        """A pass of one row, [1, T] tokens to [1, keep, V] logits, which are the caller's to change."""
        steps = tokens.shape[1]
        fed = min(steps, self.max_positions - start)
        if fed <= 0 or start > row.length:
            return torch.zeros(1, keep, self.vocab_size, device=self.device)
        row.rewind(start)
        wanted = max(keep - (steps - fed), 0)
        logits = self.run(tokens[:, :fed], row, wanted)
        row.length += fed
        logits = logits[:, logits.shape[1] - wanted :].float()
        return logits if wanted == keep else F.pad(logits, (0, 0, 0, keep - wanted))

    def run(self, tokens: Tensor, row: Row, wanted: int) -> Tensor:
        """Run the module after what the row has seen; returns the last ``wanted`` positions' logits or more."""
        # To transformers 0 means all, which a long prompt's logits may not leave room for.
        limit = {"logits_to_keep": max(wanted, 1)} if self._limits_logits else {}
        output = self.module(input_ids=tokens, past_key_values=row.cache, use_cache=True, **limit)
        logits: Tensor = output.logits
        return logits
