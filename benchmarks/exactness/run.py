"""The whole check: every backend and dtype that runs here, every way, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.exactness.check import BATCHES, GAMMAS, check, ways
from benchmarks.exactness.prompts import read_items
from benchmarks.exactness.table import table_lines
from draftwise import Engine
from draftwise.errors import DraftwiseError
from draftwise.models.backends import BACKENDS
from draftwise.options import DecodingOptions

DTYPES = ("float32", "bfloat16", "int8")


@dataclass(frozen=True, slots=True)
class Job:
    """What to check; the fields are those of the command line. Empty tuples stand for all."""

    target: str = "builtin"
    draft: str | None = None
    device: str = "cpu"
    dtypes: tuple[str, ...] = DTYPES
    backends: tuple[str, ...] = ()
    limit: int = 20
    spec_bench: Path | None = None
    longest: int | None = None
    gammas: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    new_tokens: int = 30
    threads: int | None = None


def run(job: Job, say: Callable[[str], None]) -> bool:
    """Check and tell; whether every backend that says it is exact is so, and there was one that ran.

    Raises:
        DraftwiseError: a model, file or setting of no use, or a backend asked for by name that can't run.
    """
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    kept: list[bool] = []
    for dtype in job.dtypes:
        for backend in job.backends or BACKENDS[1:]:
            engine = _load(job, backend, dtype, say)
            if engine is not None:
                kept.append(check_engine(engine, job, f"{backend}, {dtype}", say))
    return bool(kept) and all(kept)


def _load(job: Job, backend: str, dtype: str, say: Callable[[str], None]) -> Engine | None:
    """The engine of a backend; None where it can't run and wasn't asked for."""
    try:
        return Engine.load(job.target, job.draft, dtype=dtype, device=job.device, backend=backend)
    except DraftwiseError as error:
        if job.backends:
            raise
        say(f"left out: {error}")
        return None


def check_engine(engine: Engine, job: Job, name: str, say: Callable[[str], None]) -> bool:
    """Check one engine and tell; whether it keeps what it promises, which is nothing where it isn't exact."""
    options = DecodingOptions(max_new_tokens=job.new_tokens)
    items = read_items(engine, options, job.limit, job.spec_bench, job.longest)
    outcomes = list(check(engine, items, options, list(ways(job.gammas or GAMMAS, job.batches or BATCHES))))
    seconds = sum(outcome.seconds for outcome in outcomes)
    exact = engine.target.backend.exact
    say(f"{name}, {'exact' if exact else 'not said to be exact'}: {len(items)} prompts, {seconds:.0f} s")
    for line in table_lines(outcomes):
        say(line)
    return not exact or all(outcome.holds for outcome in outcomes)
