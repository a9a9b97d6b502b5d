"""draftwise and transformers in turns on the same weights, prompts and device: timed from outside, ids compared."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from statistics import median
from typing import Any

from benchmarks.exactness.prompts import Item
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.errors import describe
from benchmarks.gpu.hugging_face import Decode, decoders
from benchmarks.gpu.scale import Scale
from draftwise import Engine
from draftwise.clock import settled_ns
from draftwise.pairs import Pairing

OURS = {"as": "draftwise as", "sps": "draftwise sps", "bild": "draftwise bild"}
"""Names of our rows by method."""
REFERENCE = OURS["as"]
SEED = 0


@dataclass(slots=True)
class Turns:
    """What one decoder did: the nanoseconds of each call by prompt, and the ids of its last."""

    times: dict[str, list[int]] = field(default_factory=dict)
    ids: dict[str, list[int]] = field(default_factory=dict)


def measure_peers(
    engine: Engine, pairing: Pairing, items: Sequence[Item], scale: Scale, budget: Budget
) -> dict[str, Any]:
    """Answer each prompt with each decoder, in shuffled order, once to warm up and then ``peer_repeats`` times.

    Args:
        engine: with both models.
        pairing: the same two, opened anew for transformers' models.
        items: the prompts.
        scale: how much.
        budget: a prompt begun is finished with all decoders; at least one is.

    Returns:
        ``transformers``, its version; ``prompts``; ``repeats``; ``decoders``, those that didn't break, each with
        ``tokens_per_second`` over whole calls (medians of a prompt's repeats, summed over prompts), ``tokens`` and
        ``same_ids`` as plain decoding here; ``cut`` where time was lacking; ``error`` of the decoders that broke.
    """
    ways = own_decoders(engine, scale) | decoders(
        pairing.target, pairing.drafts[0], scale.decoding["max_new_tokens"], scale.decoding["gamma"]
    )
    found = {name: Turns() for name in ways}
    shuffled = random.Random(SEED)
    plan = [(repeat, item) for repeat in range(1 + scale.peer_repeats) for item in items]
    done, broken = 0, dict[str, str]()
    for repeat, item in plan:
        if done > len(items) and not budget.left:
            break
        for name in shuffled.sample(list(ways), len(ways)):
            try:
                took, ids = _timed(engine, ways[name], item)
            except Exception as error:  # the others' figures are worth having
                del ways[name], found[name]
                broken[name] = describe(error)
                continue
            found[name].ids[item.name] = ids
            if repeat:
                found[name].times.setdefault(item.name, []).append(took)
        done += 1
    counted = {name: _figures(turns, found[REFERENCE]) for name, turns in found.items()}
    lacks = {} if done == len(plan) else {"cut": f"{done} of {len(plan)} turns were taken"}
    lacks |= {"error": "; ".join(f"{name}: {line}" for name, line in broken.items())} if broken else {}
    sizes = {"prompts": len(items), "repeats": scale.peer_repeats}
    return {"transformers": version("transformers"), **sizes, "decoders": counted, **lacks}


def own_decoders(engine: Engine, scale: Scale) -> dict[str, Decode]:
    """Our methods as functions from ids to ids."""

    def decoder(method: str) -> Decode:
        return lambda ids: list(engine.generate(ids, method=method, **scale.decoding).tokens)

    return {name: decoder(method) for method, name in OURS.items()}


def _timed(engine: Engine, decode: Decode, item: Item) -> tuple[int, list[int]]:
    began = settled_ns(engine.devices)
    ids = decode(list(item.ids))
    return settled_ns(engine.devices) - began, ids


def _figures(turns: Turns, reference: Turns) -> dict[str, Any]:
    seconds = sum(median(times) for times in turns.times.values()) / 1e9
    tokens = sum(len(turns.ids[name]) for name in turns.times)
    return {
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "same_ids": sum(turns.ids[name] == reference.ids[name] for name in turns.ids),
        "compared": len(turns.ids),
    }
