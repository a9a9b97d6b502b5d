"""Our forward pass as one call of the native library; the plain twin is ``models/own/transformer.py``."""

from __future__ import annotations

import ctypes
import weakref
from typing import NamedTuple

import torch
from torch import Tensor

from draftwise.errors import DraftwiseError
from draftwise.models.backends.native.compiled import native_library
from draftwise.models.backends.native.layout import Layout
from draftwise.models.backends.native.structures import RequestStructure
from draftwise.models.own import Architecture, Weights
from draftwise.models.protocol import BackendFacts

ALONE = 6_000_000
"""Bytes of weights up to which one thread passes as fast as several: each step is over before it is shared out."""


class NativeCache(NamedTuple):
    """Keys and values of all layers, and with how many threads the passes over them run."""

    entries: Tensor
    capacity: int  # positions, in whole blocks of 16
    threads: int


class NativeTransformer:
    """A decoder-only model on the CPU; see ``CausalLM`` for the contract.

    A row's logits are a function of its own tokens alone, to the bit: each sum runs in one order, whatever rows and
    however many positions share the pass.
    """

    implementation = "own"
    start_token_id: int | None = None

    def __init__(self, architecture: Architecture, weights: Weights, eos_token_ids: tuple[int, ...]) -> None:
        """Take weights whose matrices are packed."""
        library = native_library()
        self.vocab_size = architecture.vocab_size
        self.max_positions = architecture.max_positions
        self.eos_token_ids = eos_token_ids
        self.device = weights.tokens.device
        self.dtype = weights.tokens.dtype  # of what is not int8
        self.bytes_per_pass = weights.bytes_per_pass
        self._layout = Layout(architecture, weights)
        instructions = library.draftwise_instructions(self._layout.structure.kind).decode()
        self.backend = BackendFacts("native", exact=True, instructions=instructions)
        self._entry_dtype = torch.float32 if self.dtype == torch.float32 else torch.bfloat16
        self._call = library.draftwise_forward
        self._cache_elements = library.draftwise_cache_elements
        self.workspace = ctypes.c_void_p(library.draftwise_workspace())
        weakref.finalize(self, library.draftwise_free_workspace, self.workspace)
        self.address = self._layout.address

    def new_cache(self, batch: int, capacity: int) -> NativeCache:
        """A cache for ``batch`` rows of ``capacity`` positions, for as many threads as torch now uses."""
        self._layout.prepare(capacity)
        whole = -(-capacity // 16) * 16
        size = self._cache_elements(self.address, batch, whole)
        threads = 1 if self.bytes_per_pass <= ALONE else torch.get_num_threads()
        return NativeCache(torch.zeros(size, dtype=self._entry_dtype), whole, threads)

    def forward(self, tokens: Tensor, starts: Tensor, cache: NativeCache, *, span: int, keep: int) -> Tensor:
        """One pass; arguments and result as in ``CausalLM.forward``."""
        batch, steps = tokens.shape
        tokens, starts = tokens.contiguous(), starts.contiguous()
        logits = torch.empty((batch, keep, self.vocab_size))
        request = RequestStructure(
            *(tokens.data_ptr(), starts.data_ptr(), batch, steps, keep),
            *(cache.entries.data_ptr(), cache.capacity, logits.data_ptr()),
        )
        if self._call(self.address, self.workspace, ctypes.byref(request), cache.threads):
            raise DraftwiseError(f"no memory is left for a pass over {batch} × {steps} tokens; use a smaller batch")
        return logits
