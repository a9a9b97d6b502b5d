"""A model whose table of tokens is larger than its tokenizer's: the ids in excess can never be emitted.

Checkpoints pad their tables to round numbers, each size of a family to another one, so two models with one tokenizer
may give different numbers of logits. Both are cut to the ids that mean something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from draftwise.models.protocol import Cache, CausalLM, EncoderDecoderLM, is_encoder_decoder


class LimitedVocabulary:
    """A model that gives logits for the first ``size`` ids only, and minus infinity for the ``absent`` among them."""

    def __init__(self, model: CausalLM, size: int, absent: Sequence[int]) -> None:
        """Wrap a model; ``absent`` are ids below ``size`` that stand for no token."""
        self.vocab_size = size
        self.implementation, self.backend = model.implementation, model.backend
        self.start_token_id, self.max_positions = model.start_token_id, model.max_positions
        self.eos_token_ids = tuple(token for token in model.eos_token_ids if token < size)
        self.device, self.dtype, self.bytes_per_pass = model.device, model.dtype, model.bytes_per_pass
        self.inner = model
        self.absent = torch.tensor(absent, dtype=torch.int64, device=model.device) if absent else None

    def new_cache(self, batch: int, capacity: int) -> Cache:
        """The model's own cache."""
        return self.inner.new_cache(batch, capacity)

    def forward(self, tokens: Tensor, starts: Tensor, cache: Cache, *, span: int, keep: int) -> Tensor:
        """One pass, as ``CausalLM.forward``."""
        logits = self.inner.forward(tokens, starts, cache, span=span, keep=keep)[..., : self.vocab_size]
        return logits if self.absent is None else logits.index_fill(-1, self.absent, -torch.inf)


class LimitedEncoderDecoder(LimitedVocabulary):
    """The same for a model whose encoder reads the prompt."""

    def __init__(self, model: EncoderDecoderLM, size: int, absent: Sequence[int]) -> None:
        """Wrap a model, as ``LimitedVocabulary``."""
        super().__init__(model, size, absent)
        self.max_source_tokens = model.max_source_tokens
        self._reader = model

    def read_sources(self, sources: Sequence[Sequence[int]], cache: Cache) -> None:
        """Encode the prompts, as ``EncoderDecoderLM.read_sources``."""
        self._reader.read_sources(sources, cache)


def limit_vocabulary(model: CausalLM, vocabulary: Mapping[str, int]) -> CausalLM:
    """The model, kept from emitting ids that no token of the vocabulary has; itself where there are none."""
    present = {token for token in vocabulary.values() if token < model.vocab_size}
    size = 1 + max(present, default=-1)
    if size == 0 or len(present) == model.vocab_size:
        return model
    absent = sorted(set(range(size)) - present)
    if is_encoder_decoder(model):
        return LimitedEncoderDecoder(model, size, absent)
    return LimitedVocabulary(model, size, absent)
