"""draftwise through its public ``Engine``, with its own choice of what runs the passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from benchmarks.peers.cases import Case, reference_engine
from benchmarks.peers.runners import Loaded
from draftwise.bench.bandwidth import read_bandwidth
from draftwise.engine import Engine
from draftwise.methods import METHODS
from draftwise.models.protocol import CausalLM

ROOM = 256
"""Positions of the cache that passes are timed on."""


def load(case: Case) -> Loaded:
    """Load the pair."""
    torch.set_num_threads(case.threads)
    engine = reference_engine(case)

    def decode(method: str, ids: list[int], tokens: int, **options: Any) -> Sequence[int]:
        return engine.generate(ids, method=method, max_new_tokens=tokens, ignore_eos=True, **options).tokens

    return Loaded(
        {
            "plain": lambda ids, tokens: decode("as", ids, tokens),
            "speculative, 4 tokens": lambda ids, tokens: decode("sps", ids, tokens, gamma=4),
        },
        {"prompt lookup": f"no such method; it has {', '.join(METHODS)}"},
        _facts(engine),
    )


def _facts(engine: Engine) -> dict[str, Any]:
    """Which backend runs the passes of each model, as the models themselves say it."""
    models = {"target": engine.target, "draft": engine.draft}
    return {name: asdict(model.backend) for name, model in models.items() if model}


class OwnPasses:
    """The target's forward pass on a cache of its own."""

    def __init__(self, target: CausalLM) -> None:
        self.target = target
        self.cache = target.new_cache(1, ROOM)
        self.length = 0
        size = target.bytes_per_pass
        self.facts = {"bytes_per_pass": size, "bandwidth": read_bandwidth(size)}

    def fill(self, ids: list[int]) -> None:
        """Begin a new context."""
        self.length = 0
        self._pass(ids, keep=0)

    def feed(self, ids: list[int]) -> None:
        """One pass with logits for every token."""
        self._pass(ids, keep=len(ids))

    def _pass(self, ids: list[int], keep: int) -> None:
        with torch.inference_mode():
            starts = torch.tensor([self.length])
            self.target.forward(torch.tensor([ids]), starts, self.cache, span=self.length + len(ids), keep=keep)
        self.length += len(ids)


def passes(case: Case) -> OwnPasses:
    """Load the target."""
    torch.set_num_threads(case.threads)
    return OwnPasses(reference_engine(case).target)
