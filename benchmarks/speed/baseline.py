"""Ratios as they are stored: one file for each machine, whose name says which."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks.speed.ratios import Ratio
from draftwise.bench.fingerprint import available_cores, cpu_model, machine_facts
from draftwise.errors import DraftwiseError

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Baseline:
    """What to hold ratios against.

    Attributes:
        machine: the facts of the machine and the code, as ``machine_facts`` gives them.
        threads: of the measuring processes.
        runs: how many processes the ratios come from.
        ratios: by the benchmark's name.
    """

    machine: dict[str, Any]
    threads: int
    runs: int
    ratios: dict[str, Ratio]


def machine_name() -> str:
    """What a baseline's file is named by: the processor and the cores that may be used."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"\((r|tm)\)", " ", cpu_model().lower()))
    return "-".join([*words, str(available_cores()), "cores"])


def baseline_path(machine: str) -> Path:
    """Where a machine's baseline lies."""
    return HERE / f"baseline-{machine}.json"


def merged(runs: Sequence[Mapping[str, Ratio]], threads: int) -> Baseline:
    """A baseline from several processes: the middle one's ratio, and an interval that holds every process's.

    A process keeps for its life where its memory lies and how its threads were placed, so one alone would take its
    own luck for the code's speed.
    """
    ratios = {name: _widest([run[name] for run in runs]) for name in runs[0]}
    return Baseline(machine_facts(), threads, len(runs), ratios)


def _widest(found: Sequence[Ratio]) -> Ratio:
    middle = sorted(found, key=lambda ratio: ratio.value)[len(found) // 2]
    value = median(ratio.value for ratio in found)
    return replace(middle, value=value, low=min(r.low for r in found), high=max(r.high for r in found))


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline, its ratios line by line."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(baseline), indent=2) + b"\n")


def read_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        DraftwiseError: there is none, or it isn't one.
    """
    if not path.is_file():
        raise DraftwiseError(
            f"no baseline {path.name!r} for this machine; measure one: python -m benchmarks.speed renew"
        )
    try:
        return msgspec.json.decode(path.read_bytes(), type=Baseline)
    except msgspec.DecodeError as error:
        raise DraftwiseError(f"{str(path)!r} is no baseline ({error}); renew it") from None
