"""Encoder–decoder models of transformers: the encoder reads the prompt once, then the decoder writes the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from draftwise.models.adapter.decoder import DecoderLM
from draftwise.models.adapter.rows import Row, row_cache
from draftwise.models.adapter.support import Architecture


class Seq2SeqLM(DecoderLM):
    """A module of transformers as an ``EncoderDecoderLM``.

    The keys and values of the attention over the prompt are computed by a row's first pass and stay; a rewind cuts only
    those of the text. What the checkpoint's generation settings force or ban is so in the logits: many a translator
    was trained with a first token of its own, or starts with padding that it must not write again.
    """

    def __init__(self, module: Any, architecture: Architecture, eos_token_ids: tuple[int, ...]) -> None:
        """Take over a module that has its weights; ids beyond its vocabulary can't be forced or banned."""
        super().__init__(module, architecture, eos_token_ids)
        self._banned = [token for token in architecture.banned_ids if token < self.vocab_size]
        forced = architecture.forced_first_id
        self._forced_first = forced if forced is not None and forced < self.vocab_size else None

    def new_cache(self, batch: int, capacity: int) -> list[Row]:
        """Rows without a prompt; ``read_sources`` gives them theirs."""
        from transformers.cache_utils import DynamicCache, EncoderDecoderCache

        config = self.module.config
        return [Row(EncoderDecoderCache(row_cache(config, capacity), DynamicCache())) for _ in range(batch)]

    @torch.inference_mode()
    def read_sources(self, sources: Sequence[Sequence[int]], cache: list[Row]) -> None:
        """Encode each row's prompt; see ``EncoderDecoderLM.read_sources``."""
        encoder = self.module.get_encoder()
        for source, row in zip(sources, cache, strict=True):
            row.encoded = encoder(input_ids=torch.tensor([list(source)], device=self.device))

    def forward_row(self, tokens: Tensor, start: int, row: Row, keep: int) -> Tensor:
        """As for a decoder alone, with the ids that are forced or banned."""
        logits = super().forward_row(tokens, start, row, keep)
        if self._banned:
            logits[..., self._banned] = -torch.inf
        if self._forced_first is not None and keep and start + tokens.shape[1] == keep:  # then position 0 is in it
            logits[:, 0] = -torch.inf
            logits[:, 0, self._forced_first] = 0.0
        return logits

    def run(self, tokens: Tensor, row: Row, wanted: int) -> Tensor:
        """Run the decoder after what the row has seen; returns the logits of all of ``tokens``."""
        output = self.module(
            encoder_outputs=row.encoded, decoder_input_ids=tokens, past_key_values=row.cache, use_cache=True
        )
        logits: Tensor = output.logits
        return logits
