"""How fast this machine reads memory, which limits decoding at batch 1: each pass reads every weight once."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

LARGEST = 1 << 30
"""A buffer of this many bytes is beyond every cache, so larger models need no larger one."""


def read_bandwidth(size: int, device: str = "cpu", seconds: float = 0.3) -> float:
    """Bytes a second of the fastest of many reads over a buffer.

    The size matters: a small model's weights stay in a cache, which is several times as fast as memory. On a CPU the
    buffer lies on large pages, as packed weights do, with which more can be read. It is
    summed, and multiplied half by half, which reads it in two streams. On a CPU with several threads one thread is
    timed alone as well, and counts once for each: where neighbours keep the cores busy, a read by all threads waits
    for the slowest of them every time, and the figure would forbid rates that were really reached.

    Args:
        size: bytes that a pass reads.
        device: where the weights lie.
        seconds: how long to try each kind of read.
    """
    import torch

    from draftwise.models.pages import large_pages

    half = max(1, min(size, LARGEST) // 8)
    if device == "cpu":
        buffer = large_pages(8 * half).view(torch.float32).fill_(1)
    else:
        buffer = torch.ones(2 * half, dtype=torch.float32, device=device)
    reads: tuple[Callable[[], object], ...] = (buffer.sum, lambda: torch.dot(buffer[:half], buffer[half:]))
    threads = torch.get_num_threads()
    best = min(_fastest(read, device, seconds) for read in reads)
    if device == "cpu" and threads > 1:
        torch.set_num_threads(1)
        try:
            best = min(best, *(_fastest(read, device, seconds) / threads for read in reads))
        finally:
            torch.set_num_threads(threads)
    return 8 * half / (best / 1e9)


def _fastest(read: Callable[[], object], device: str, seconds: float) -> float:
    """The nanoseconds of the fastest of at least five reads."""
    import torch

    from draftwise.clock import settled_ns

    place = (torch.device(device),)
    read()
    times: list[int] = []
    end = perf_counter_ns() + int(seconds * 1e9)
    while len(times) < 5 or perf_counter_ns() < end:
        began = settled_ns(place)
        read()
        times.append(settled_ns(place) - began)
    return min(times)
