from __future__ import annotations

import pytest
import torch

from draftwise.bench import bandwidth
from draftwise.bench.bandwidth import read_bandwidth


def test_a_read_of_any_size_has_a_rate_that_memory_can_have() -> None:
    for size in (1, 1 << 10, 1 << 20, 1 << 25):
        assert 1e5 < read_bandwidth(size, seconds=0.01) < 1e13


def test_the_number_of_threads_is_left_as_it_was() -> None:
    before = torch.get_num_threads()
    read_bandwidth(1 << 20, seconds=0.0)
    assert torch.get_num_threads() == before


class Device:
    """A device that reads a byte a nanosecond, when it is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.owed = 0
        monkeypatch.setattr(bandwidth, "perf_counter_ns", lambda: self.now)
        monkeypatch.setattr("draftwise.clock.settled_ns", self.settled)

    def read(self) -> None:
        self.now, self.owed = self.now + 1, self.owed + 1000

    def settled(self, devices: object) -> int:
        self.now, self.owed = self.now + self.owed, 0
        return self.now


def test_the_device_is_waited_for_at_both_ends_of_a_read(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch)
    device.owed = 10**6  # of what came before
    assert bandwidth._fastest(device.read, "cpu", 0.00001) == 1001
