"""The one clock: nanoseconds since some start, read when the devices have done all that they were given.

A GPU works through a queue while the host runs ahead. A clock that is read without waiting for the queue's end times
the filling of the queue, and charges the work to whoever waits for it next.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter_ns

import torch


def synchronize(devices: Iterable[torch.device]) -> None:
    """Wait until the devices have done all that they were given; a CPU works at once."""
    for device in devices:
        if device.type == "cuda":
            torch.cuda.synchronize(device)


def settled_ns(devices: Iterable[torch.device]) -> int:
    """The time in nanoseconds when the devices have done all that they were given."""
    synchronize(devices)
    return perf_counter_ns()
