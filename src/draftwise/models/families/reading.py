"""From a checkpoint's tensors to the forward pass's weights: what the families' readers share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from draftwise.models.checkpoint import Checkpoint
from draftwise.models.own.architecture import Architecture
from draftwise.models.own.weights import Matrix, Norm


class Reader:
    """Takes tensors in the shapes that an architecture asks for."""

    def __init__(self, architecture: Architecture, checkpoint: Checkpoint) -> None:
        """Read from a checkpoint whose names have lost their prefixes."""
        self.architecture = architecture
        self.checkpoint = checkpoint

    @property
    def qkv_rows(self) -> tuple[int, int, int]:
        """The rows of the query, key and value matrices."""
        shape = self.architecture
        shared = shape.key_value_heads * shape.head_dim
        return shape.heads * shape.head_dim, shared, shared

    def matrix(self, name: str, rows: int, columns: int, bias: bool) -> Matrix:
        """``name``.weight, [rows, columns], and ``name``.bias."""
        weight = self.checkpoint.take(f"{name}.weight", rows, columns)
        return Matrix(weight, self.checkpoint.take(f"{name}.bias", rows) if bias else None)

    def stack(self, names: Sequence[str], rows: Sequence[int], columns: int, bias: bool) -> Matrix:
        """Several matrices, one below the other."""
        weight = self.checkpoint.take_rows([f"{name}.weight" for name in names], rows, columns)
        return Matrix(weight, self.checkpoint.take_rows([f"{name}.bias" for name in names], rows) if bias else None)

    def turned(self, name: str, rows: int, columns: int) -> Matrix:
        """A matrix that is stored as [columns, rows], as GPT-2's are, and its bias."""
        weight = self.checkpoint.take(f"{name}.weight", columns, rows).t().contiguous()
        return Matrix(weight, self.checkpoint.take(f"{name}.bias", rows))

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
            return self.checkpoint.take(tokens, *size), Matrix(self.checkpoint.take(head, *size))
        if not self.checkpoint.has(head):
            table = self.checkpoint.take(tokens, *size)
            return table, Matrix(table)
        last = self.checkpoint.take(head, *size)
        if not self.checkpoint.has(tokens):
            return last, Matrix(last)
        table = self.checkpoint.take(tokens, *size)
        return table, Matrix(table if torch.equal(table, last) else last)
