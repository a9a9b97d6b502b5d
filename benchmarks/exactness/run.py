"""The whole check: every backend and dtype that runs here, every way, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.exactness.check import BATCHES, GAMMAS, Outcome, check, ways
from benchmarks.exactness.prompts import read_items
from benchmarks.exactness.table import table_lines
from draftwise import Engine
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions


@dataclass(frozen=True, slots=True)
class Job:
    """What to check; the fields are those of the command line. Empty tuples stand for all."""

    target: str = "builtin"
    draft: str | None = None
    device: str = "cpu"
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    backends: tuple[str, ...] = ()
    limit: int = 20
    spec_bench: Path | None = None
    longest: int | None = None
    gammas: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    new_tokens: int = 30
    threads: int | None = None


def run(job: Job, say: Callable[[str], None]) -> bool:
    """Check and tell; whether every backend that says it is exact is so.

    Raises:
        DraftwiseError: a model, file or setting of no use, or a backend asked for by name that can't run.
    """
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    kept = True
    for dtype in job.dtypes:
        for backend in job.backends or ("plain",):
            kept &= _check_one(job, backend, dtype, say)
    return kept


def _check_one(job: Job, backend: str, dtype: str, say: Callable[[str], None]) -> bool:
    engine = Engine.load(job.target, job.draft, dtype=dtype, device=job.device)
    options = DecodingOptions(max_new_tokens=job.new_tokens)
    items = read_items(engine, options, job.limit, job.spec_bench, job.longest)
    outcomes = list(check(engine, items, options, list(ways(job.gammas or GAMMAS, job.batches or BATCHES))))
    seconds = sum(outcome.seconds for outcome in outcomes)
    promised = False
    say(f"{backend}, {dtype}{'' if promised else ' (not exact)'}: {len(items)} prompts, {seconds:.0f} s")
    for line in table_lines(outcomes):
        say(line)
    equal = all(outcome.first is None for outcome in outcomes)
    return equal or not promised
