"""Memory on large pages: reading weights through small ones waits for addresses as much as for memory."""

from __future__ import annotations

import mmap
from threading import Lock

import torch
from torch import Tensor

LARGE_PAGE = 2 << 20
SLAB = 64 << 20
"""Bytes that are mapped at a time; what a slab has left is taken by the next tensor."""
_LINE = 64

_lock = Lock()
_slab: Tensor | None = None
_used = 0


def large_pages(size: int) -> Tensor:
    """A fresh mapping of ``size`` zero bytes on large pages where the system has them, [size] uint8.

    Only what is written takes memory. The mapping ends with the last tensor that looks into it.
    """
    whole = -(-max(size, 1) // LARGE_PAGE) * LARGE_PAGE
    mapping = mmap.mmap(-1, whole + LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        mapping.madvise(mmap.MADV_HUGEPAGE)
    everything = torch.frombuffer(mapping, dtype=torch.uint8)
    start = -everything.data_ptr() % LARGE_PAGE
    return everything[start : start + size]


def empty_on_large_pages(count: int, dtype: torch.dtype) -> Tensor:
    """Room for ``count`` values, zero or not, [count]: one tensor behind the other, so that a pass reads on and on."""
    global _slab, _used
    size = count * dtype.itemsize
    if size > SLAB:
        return large_pages(size).view(dtype)
    with _lock:
        if _slab is None or _used + size > SLAB:
            _slab, _used = large_pages(SLAB), 0
        room = _slab[_used : _used + size]
        _used = -(-(_used + size) // _LINE) * _LINE
    return room.view(dtype)
