"""What a backend makes of a model's weights and cache, in bytes, known before any weight is read."""

from __future__ import annotations

from draftwise.models.memory import Footprint
from draftwise.models.own import Architecture
from draftwise.models.quantised import INT8

_WIDE = 4
_SCALE = 4

_WIDENING = {"native": ("float32",), "packed": ("float32", "bfloat16"), "plain": ("float32", INT8)}
"""In which dtypes a backend of the CPU caches float32."""


def footprint(backend: str, architecture: Architecture, elements: int, dtype: str, itemsize: int) -> Footprint:
    """The bytes of a model's weights and values.

    A tied head is read in another order than the token table, so every backend but the plain one holds it once more;
    with whole numbers the plain one does too, since there it is another matrix.

    Args:
        backend: which one runs the model.
        architecture: the model's.
        elements: how many values its checkpoint holds.
        dtype: by name.
        itemsize: the bytes of a value that is not in a matrix.
    """
    inner = sum(rows * columns for rows, columns in _inner_shapes(architecture))
    head = architecture.vocab_size * architecture.embedding_width
    rest = max(elements - inner - (0 if architecture.tied else head), 0)
    cached = _WIDE if dtype in _WIDENING.get(backend, ()) else itemsize
    computed = itemsize if backend in ("plain", "triton") and dtype != INT8 else _WIDE
    if dtype != INT8:
        shared = architecture.tied and backend == "plain"
        return Footprint((inner + rest + (0 if shared else head)) * itemsize, cached, computed)
    if backend == "plain":
        return Footprint((inner + head + rest) * _WIDE, cached, computed)
    scales = architecture.vocab_size + sum(rows for rows, _ in _inner_shapes(architecture))
    return Footprint(inner + head + scales * _SCALE + rest * itemsize, cached, computed)


def _inner_shapes(shape: Architecture) -> list[tuple[int, int]]:
    """Rows and columns of every matrix but the head."""
    mixed, width = shape.heads * shape.head_dim, shape.embedding_width
    qkv = mixed + 2 * shape.key_value_heads * shape.head_dim
    up = (2 if shape.gated else 1) * shape.feed_forward
    block = [(qkv, shape.hidden), (shape.hidden, mixed), (up, shape.hidden), (shape.hidden, shape.feed_forward)]
    return block * len(shape.layers) + ([(shape.hidden, width), (width, shape.hidden)] if width != shape.hidden else [])
