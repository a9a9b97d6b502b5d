"""How fast this device copies memory, and what share of that plain decoding reaches."""

from __future__ import annotations

from statistics import median
from typing import Any

import torch

from benchmarks.exactness.prompts import Item
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.scale import Scale
from draftwise import Engine
from draftwise.clock import settled_ns

COPIES = 20
MOST_REPEATS = 5
LEAST_REPEATS = 2
"""The first answers warm up, and aren't counted."""


def copy_bandwidth(size: int, device: torch.device) -> float:
    """Bytes a second, read and written, of the fastest of several copies of a buffer of ``size`` bytes."""
    source = torch.ones(size // 4, dtype=torch.float32, device=device)
    copy = torch.empty_like(source)
    times = []
    for _ in range(COPIES):
        began = settled_ns((device,))
        copy.copy_(source)
        times.append(settled_ns((device,)) - began)
    return 2 * source.nbytes / (min(times[1:]) / 1e9)


def measure_memory(engine: Engine, items: list[Item], scale: Scale, budget: Budget) -> dict[str, Any]:
    """Copy; then decode one prompt of each subtask plainly, past its end of text, until the time is over.

    Returns:
        ``copy_bytes_per_second``; ``bytes_per_pass`` of the target's weights; ``ns_per_token``, the median over prompts
        and repeats of decode time / new tokens; ``share`` of the copy bandwidth that reading the weights once a token
        comes to, the cache's reads left out; ``answers``, how many that is of.
    """
    speed = copy_bandwidth(scale.copied_bytes, engine.target.device)
    times: list[float] = []
    for repeat in range(1 + MOST_REPEATS):
        if repeat > LEAST_REPEATS and not budget.left:
            break
        for item in items:
            answer = engine.generate(
                list(item.ids), method="as", max_new_tokens=scale.speed_tokens, temperature=0.0, ignore_eos=True
            )
            if repeat:
                times.append(answer.decode_ns / len(answer.tokens))
    size, pace = engine.target.bytes_per_pass, median(times)
    return {
        "copied_bytes": scale.copied_bytes,
        "copy_bytes_per_second": speed,
        "bytes_per_pass": size,
        "ns_per_token": pace,
        "share": size / (pace / 1e9) / speed,
        "answers": len(times),
    }
