"""The parts of a run, one after another; what one lacks in time or breaks on is told, and the others go on."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch

from benchmarks.exactness.prompts import Item, read_items
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.device_tests import run_device_tests
from benchmarks.gpu.errors import describe
from benchmarks.gpu.experiment import run_experiment
from benchmarks.gpu.memory import measure_memory
from benchmarks.gpu.same_ids import compare_ids
from benchmarks.gpu.scale import Scale
from draftwise import Engine
from draftwise.models.loading import ModelSpec
from draftwise.options import DecodingOptions
from draftwise.pairs import Pairing


@dataclass(slots=True)
class Run:
    """What the parts share: the models, from where they are grown to where their room is needed."""

    scale: Scale
    output: Path
    engine: Engine | None = None

    @property
    def loaded(self) -> Engine:
        """The engine.

        Raises:
            RuntimeError: its models couldn't be grown.
        """
        if self.engine is None:
            raise RuntimeError("there are no models to run, see the part 'models'")
        return self.engine

    def open(self) -> Pairing:
        """The pair, found and not in memory."""
        scale = self.scale
        spec = ModelSpec(scale.target, dtype=scale.dtype, device=scale.device, backend=scale.backend)
        return Pairing.open(spec, [spec.draft(scale.draft)])

    def prompts(self, of_each: int) -> list[Item]:
        """So many prompts of each subtask, as ids."""
        return read_items(self.loaded, DecodingOptions(**self.scale.decoding), of_each)

    def release(self) -> None:
        """Let go of the models."""
        self.engine = None
        gc.collect()
        if self.scale.device != "cpu":
            torch.cuda.empty_cache()


def _tests(run: Run, budget: Budget) -> dict[str, Any]:
    return run_device_tests(run.scale.device, run.output, budget)


def _models(run: Run, budget: Budget) -> dict[str, Any]:
    """Grow the pair and say what it is."""
    pairing = run.open()
    memory = pairing.check_memory(context=512, batch=max(run.scale.batches))
    (run.engine,) = Engine.load_all(pairing)
    opened = {"target": pairing.target, "draft": pairing.drafts[0]}
    models = {"target": run.engine.target, "draft": run.engine.draft}
    facts = {
        role: {
            "name": opened[role].spec.name,
            "parameters": opened[role].checkpoint.elements,
            "backend": asdict(model.backend),
        }
        for role, model in models.items()
        if model is not None
    }
    return {"models": facts, "memory": memory}


def _memory(run: Run, budget: Budget) -> dict[str, Any]:
    return measure_memory(run.loaded, run.prompts(1), run.scale, budget)


def _ids(run: Run, budget: Budget) -> dict[str, Any]:
    return compare_ids(run.loaded, run.prompts(run.scale.exact_prompts), run.scale, budget)


def _peers(run: Run, budget: Budget) -> dict[str, Any]:
    from benchmarks.gpu.peers import measure_peers  # so that a transformers that can't be imported fails here alone

    return measure_peers(run.loaded, run.open(), run.prompts(run.scale.peer_prompts), run.scale, budget)


def _experiment(run: Run, budget: Budget) -> dict[str, Any]:
    run.release()
    return run_experiment(run.scale, run.output, budget)


class Part(NamedTuple):
    """A part: how much of the time it may take beside the others, and what it does."""

    weight: float
    work: Callable[[Run, Budget], dict[str, Any]]


PARTS = {
    "tests": Part(80, _tests),
    "models": Part(25, _models),
    "memory": Part(25, _memory),
    "ids": Part(120, _ids),
    "peers": Part(90, _peers),
    "experiment": Part(160, _experiment),
}
"""In this order: what a part leaves of its time is the later ones', of which the last has the most to do."""


class Done(NamedTuple):
    """What became of a part.

    Attributes:
        name: a key of ``PARTS``.
        seconds: how long it took.
        found: what it gave, with ``cut`` where time was lacking for all of it; empty where it gave nothing.
        error: what it broke on, in a line.
        traceback: where, if nothing came of it.
    """

    name: str
    seconds: float
    found: dict[str, Any]
    error: str = ""
    traceback: str = ""

    @property
    def outcome(self) -> str:
        """One word: done, cut or failed."""
        return "failed" if self.error else "cut" if "cut" in self.found else "done"


def run_parts(run: Run, budget: Budget, begin: Callable[[str], None]) -> Iterator[Done]:
    """Do all the parts; ``begin`` is told each one's name before it."""
    left = sum(part.weight for part in PARTS.values())
    for name, part in PARTS.items():
        begin(name)
        began = perf_counter()
        try:
            found = part.work(run, budget.share(part.weight, left))
            done = Done(name, perf_counter() - began, found, found.pop("error", ""))
        except Exception as error:  # whatever a part breaks on, the others are worth having
            done = Done(name, perf_counter() - began, {}, describe(error), traceback.format_exc())
        left -= part.weight
        yield done
