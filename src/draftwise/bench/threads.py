"""The CPU threads of a process that measures: how many, and whether each has a core of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from draftwise.bench.pinning import pinned_threads
from draftwise.bench.settings import BenchSettings


@contextmanager
def compute_threads(settings: BenchSettings) -> Iterator[list[int] | None]:
    """Run with the settings' threads, or torch's own choice; gives their cores where they are pinned."""
    import torch

    before = torch.get_num_threads()
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    try:
        if settings.pin:
            with pinned_threads(torch.get_num_threads()) as cores:
                yield cores
        else:
            yield None
    finally:
        if settings.threads is not None:
            torch.set_num_threads(before)
