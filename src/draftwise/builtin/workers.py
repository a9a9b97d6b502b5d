"""Data parallelism on one machine: a process a core, gradients averaged once a step.

Two processes of one thread train faster than one process of two threads: the matrices are too small to split, and a
neighbour on the machine costs one barrier a step instead of one a kernel.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn


def average_gradients(parameters: list[nn.Parameter]) -> None:
    """Average gradients over the workers; alone, do nothing."""
    if not distributed.is_initialized():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def owned(matrices: list[nn.Parameter]) -> list[nn.Parameter]:
    """Return this worker's share of matrices, so that each orthogonalisation is done once."""
    if not distributed.is_initialized():
        return matrices
    return matrices[distributed.get_rank() :: distributed.get_world_size()]


@torch.no_grad()
def share_owned(matrices: list[nn.Parameter]) -> None:
    """Send every worker the matrices that the others own and have just updated."""
    if not distributed.is_initialized():
        return
    count = distributed.get_world_size()
    for owner in range(count):
        mine = matrices[owner::count]
        flat = torch.cat([matrix.reshape(-1) for matrix in mine])
        distributed.broadcast(flat, src=owner)
        for matrix, part in zip(mine, torch.split(flat, [m.numel() for m in mine]), strict=True):
            matrix.copy_(part.view_as(matrix))


def _enter(rank: int, count: int, store: str, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=count)
    work(rank, *arguments)
    distributed.destroy_process_group()


def run(count: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Run `work(rank, *arguments)` in `count` processes of one thread each, or in this process if there is one."""
    if count == 1:
        work(0, *arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store")
        spawn(_enter, (count, store, work, arguments), nprocs=count)  # type: ignore[no-untyped-call]
