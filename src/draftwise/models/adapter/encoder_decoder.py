"""Encoder–decoder models of transformers: the encoder reads the prompt once, then the decoder writes the text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from draftwise.models.adapter.decoder import DecoderLM
from draftwise.models.adapter.rows import Row, row_cache


class Seq2SeqLM(DecoderLM):
    """A module of transformers as an ``EncoderDecoderLM``.

    The keys and values of the attention over the prompt are computed by a row's first pass and stay; a rewind cuts only
    those of the text.
    """

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

    def run(self, tokens: Tensor, row: Row, wanted: int) -> Tensor:
        """Run the decoder after what the row has seen; returns the logits of all of ``tokens``."""
        output = self.module(
            encoder_outputs=row.encoded, decoder_input_ids=tokens, past_key_values=row.cache, use_cache=True
        )
        logits: Tensor = output.logits
        return logits
