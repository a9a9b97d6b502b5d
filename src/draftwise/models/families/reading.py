"""From a checkpoint's tensors to the forward pass's weights: what the families' readers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from draftwise.models.checkpoint import Checkpoint
from draftwise.models.own.architecture import Architecture
from draftwise.models.own.weights import Matrix, Norm
from draftwise.models.quantised import quantise


class Prepare(Protocol):
    """What a backend makes of a matrix as soon as it is read; see ``Backend.prepare``."""

    def __call__(self, matrix: Matrix, *, halves: bool = False) -> Matrix:
        """The matrix as the forward pass wants it."""


def as_read(matrix: Matrix, *, halves: bool = False) -> Matrix:
    """The matrix itself."""
    return matrix


class Reader:
    """Takes tensors in the shapes that an architecture asks for."""

    def __init__(
        self, architecture: Architecture, checkpoint: Checkpoint, prepare: Prepare = as_read, *, int8: bool = False
    ) -> None:
        """Read from a checkpoint.

        Args:
            architecture: says which tensors there are, and their shapes.
            checkpoint: holds them, under the names that it was written with.
            prepare: is given each matrix before the next one is read.
            int8: whether matrices are quantised, from all the digits that the files have.
        """
        self.architecture = architecture
        self.checkpoint = checkpoint
        self._prepare = prepare
        self._int8 = int8
        self._dtype = torch.float32 if int8 else checkpoint.dtype

    @property
    def qkv_rows(self) -> tuple[int, int, int]:
        """The rows of the query, key and value matrices."""
        shape = self.architecture
        shared = shape.key_value_heads * shape.head_dim
        return shape.heads * shape.head_dim, shared, shared

    def matrix(
        self, name: str, rows: int, columns: int, bias: bool, order: Callable[[Tensor], Tensor] = lambda rows: rows
    ) -> Matrix:
        """``name``.weight, [rows, columns], and ``name``.bias; ``order`` sorts the rows of both."""
        weight = order(self.checkpoint.take(f"{name}.weight", rows, columns, dtype=self._dtype))
        return self._map(weight, order(self.checkpoint.take(f"{name}.bias", rows)) if bias else None)

    def stack(
        self, names: Sequence[str], rows: Sequence[int], columns: int, bias: bool, *, halves: bool = False
    ) -> Matrix:
        """Several matrices, one below the other; ``halves`` as in ``Backend.prepare``."""
        weight = self.checkpoint.take_rows([f"{name}.weight" for name in names], rows, columns, dtype=self._dtype)
        biases = self.checkpoint.take_rows([f"{name}.bias" for name in names], rows) if bias else None
        return self._map(weight, biases, halves=halves)

    def turned(self, name: str, rows: int, columns: int) -> Matrix:
        """A matrix that is stored as [columns, rows], as GPT-2's are, and its bias."""
        weight = self.checkpoint.take(f"{name}.weight", columns, rows, dtype=self._dtype).t().contiguous()
        return self._map(weight, self.checkpoint.take(f"{name}.bias", rows))

    def _map(self, weight: Tensor, bias: Tensor | None = None, *, halves: bool = False) -> Matrix:
        whole, scale = quantise(weight) if self._int8 else (weight, None)
        return self._prepare(Matrix(whole, bias, scale), halves=halves)

    def norm(self, name: str) -> Norm:
        """A norm over the stream."""
        shape = self.architecture
        if not shape.norm_weights:
            return Norm()
        weight = self.checkpoint.take(f"{name}.weight", shape.hidden)
        if shape.norm == "layer":
            return Norm(weight, self.checkpoint.take(f"{name}.bias", shape.hidden))
        return Norm(self._scale(weight))

    def query_key_norm(self, queries: str, keys: str) -> Norm:
        """The norms of query heads and of key heads as one over both."""
        shape = self.architecture
        names, counts = (queries, keys), (shape.heads, shape.key_value_heads)
        parts = [self._scale(self.checkpoint.take(f"{name}.weight", shape.head_dim)) for name in names]
        return Norm(torch.cat([part.expand(count, -1) for part, count in zip(parts, counts, strict=True)]))

    def _scale(self, weight: Tensor) -> Tensor:
        """What an RMS norm multiplies by: Gemma stores its distance from 1."""
        if self.architecture.norm == "rms_wide":
            return 1.0 + weight.to(torch.promote_types(weight.dtype, torch.float32))
        return weight

    def tables(self, tokens: str, head: str) -> tuple[Tensor, Matrix]:
        """The token vectors and the head, by the names of their tensors.

        Where config.json ties them, one of the two is enough; where both are there and differ, they are not tied,
        whatever config.json says. So does transformers.
        """
        shape = self.architecture
        size = (shape.vocab_size, shape.embedding_width)
        if not shape.tied:
            table = self.checkpoint.take(tokens, *size)
            return table, self._map(self.checkpoint.take(head, *size, dtype=self._dtype))
        names = [name for name in (tokens, head) if self.checkpoint.has(name)] or [tokens]
        first, *others = [self.checkpoint.take(name, *size, dtype=self._dtype) for name in names]
        last = next((other for other in others if not torch.equal(other, first)), first)
        return first.to(self.checkpoint.dtype), self._map(last)
