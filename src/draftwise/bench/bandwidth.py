"""How fast this machine reads memory, which limits decoding at batch 1: each pass reads every weight once."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

LARGEST = 1 << 30
"""A buffer of this many bytes is beyond every cache, so larger models need no larger one."""


def read_bandwidth(size: int, device: str = "cpu", seconds: float = 0.3) -> float:
    """Bytes a second of the fastest of many reads over a buffer.

    The size matters: a small model's weights stay in a cache, which is several times as fast as memory. The buffer is
    summed, and multiplied half by half, which reads it in two streams; ``seconds`` are spent on each, with torch's
    current threads.

    Args:
        size: bytes that a pass reads.
        device: where the weights lie.
        seconds: how long to try.
    """
    import torch

    def sync() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize(torch.device(device))

    half = max(1, min(size, LARGEST) // 8)
    buffer = torch.ones(2 * half, dtype=torch.float32, device=device)
    best = float("inf")
    reads: tuple[Callable[[], object], ...] = (buffer.sum, lambda: torch.dot(buffer[:half], buffer[half:]))
    for read in reads:
        read()
        end = perf_counter_ns() + int(seconds * 1e9)
        tries = 0
        while tries < 5 or perf_counter_ns() < end:
            sync()
            began = perf_counter_ns()
            read()
            sync()
            best = min(best, perf_counter_ns() - began)
            tries += 1
    return 8 * half / (best / 1e9)
