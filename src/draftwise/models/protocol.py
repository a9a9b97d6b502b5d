"""What the decoding loop asks of a model: a forward pass over a cache that rewinds by itself.

The cache keeps no length. Each pass says where its tokens stand, and a query sees the cache entries up to its own
position and no further; so a rewind is a smaller start in the next pass, and what was written beyond it is masked
until it is overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor

Cache = Any
"""A model's own key and value storage, opaque to everybody but the model that made it."""


@dataclass(frozen=True, slots=True)
class BackendFacts:
    """What runs a model's passes: its name, and whether a row's logits depend on its own tokens alone, to the bit."""

    name: str
    exact: bool
    instructions: str = ""  # the processor's that it uses, such as "AVX-512"
    passed_over: tuple[str, ...] = ()  # faster ones, and why they can't run here


class CausalLM(Protocol):
    """A causal language model with a static, rewindable key-value cache."""

    @property
    def backend(self) -> BackendFacts:
        """What runs the passes."""

    @property
    def implementation(self) -> str:
        """Whose forward pass runs: "own" or "transformers"."""

    @property
    def start_token_id(self) -> int | None:
        """What an encoder-decoder's text begins with; None for a decoder-only model, whose text is the prompt's."""

    @property
    def vocab_size(self) -> int:
        """V, the number of logits a position has."""

    @property
    def max_positions(self) -> int:
        """The longest context in tokens, prompt and new tokens together."""

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """The ids that end a text, as the checkpoint's config names them; may be empty."""

    @property
    def device(self) -> torch.device:
        """Where the weights lie and the pass runs."""

    @property
    def dtype(self) -> torch.dtype:
        """The weights' floating-point type."""

    @property
    def bytes_per_pass(self) -> int:
        """The bytes of weights that a pass reads, embedding tables that are only looked up left out."""

    def new_cache(self, batch: int, capacity: int) -> Cache:
        """A cache for B = ``batch`` rows of ``capacity`` positions each; nothing in it is visible yet."""

    def forward(self, tokens: Tensor, starts: Tensor, cache: Cache, *, span: int, keep: int) -> Tensor:
        """One pass over T tokens a row, written into the cache at positions ``starts`` to ``starts`` + T - 1.

        Tokens may stand beyond the capacity or ``max_positions``, those of a finished or paused row and the padding
        behind a short draft: their own logits mean nothing, and they disturb no other token and no other row.

        Args:
            tokens: ids, [B, T], int64.
            starts: the position of each row's first token, [B], int64; entries before it must have been written.
            cache: from ``new_cache``; overwritten in place.
            span: an upper bound, known to the host, of ``starts`` + T over the rows; at most the capacity.
            keep: how many of the last positions' logits to return; 0 while prefilling.

        Returns:
            Logits of the last ``keep`` positions, [B, keep, V], float32.
        """


class EncoderDecoderLM(CausalLM, Protocol):
    """A model whose encoder reads the prompt; its decoder then writes a text that begins with ``start_token_id``."""

    @property
    def max_source_tokens(self) -> int:
        """The longest prompt in tokens that the encoder reads."""

    def read_sources(self, sources: Sequence[Sequence[int]], cache: Cache) -> None:
        """Encode each row's prompt into a cache from ``new_cache``, where the decoder's passes find it."""


def is_encoder_decoder(model: CausalLM) -> TypeGuard[EncoderDecoderLM]:
    """Whether the prompt goes to an encoder."""
    return model.start_token_id is not None
