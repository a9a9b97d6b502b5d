"""What passes cost: the target's over k tokens, v(k), and a draft's; they tell what speculation can give at best.

The curve is measured beside the run and not in it: each pass alone, between two waits for the device, on caches as full
as in the middle of an answer. All passes take turns in shuffled order, so a change of the machine's speed meets all of
them, and none finds its weights in a cache because it has just run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, cast

from draftwise.bench.collector import quiet_collector

if TYPE_CHECKING:
    from draftwise.bench.cells import Cell
    from draftwise.bench.models import Models
    from draftwise.models.protocol import CausalLM

DRAFT_WIDTHS = (1, 2)
"""A drafter feeds one token, or the two before its first guess."""
CHUNK = 512
"""Tokens of a pass that fills a cache."""
STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Widths of a long curve."""
FEWEST, MOST = 5, 401
"""Timings of each pass."""
WARM_UPS = 3
SEED = 0


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass to be timed: ``run`` returns when the device is done."""

    model: str | None  # the draft's name, None for the target
    width: int
    run: Callable[[], None]


def widths_for(cells: Sequence[Cell]) -> tuple[int, ...]:
    """The tokens of a target pass for which a run's cost is worth knowing: from 1 to the longest draft and one more.

    All of them up to 12; beyond that the curve is smooth, and a few points tell it.
    """
    widest = 1 + max(_most_drafted(cell) for cell in cells)
    narrower = range(1, widest) if widest <= 12 else (width for width in STEPS if width < widest)
    return (*narrower, widest)


def measure_costs(models: Models, widths: Sequence[int], context: int, seconds: float = 2.0) -> dict[str, Any]:
    """Time the passes of a run's target and drafts.

    Args:
        models: of the run.
        widths: tokens of the target's passes; those beyond its context are left out.
        context: tokens that stand in the caches before a pass, fewer where a model's context is shorter. An
            encoder-decoder has read as many, and its decoder's cache holds as many.
        seconds: how long to go on once each pass was timed five times.

    Returns:
        ``context``; ``target``, the median nanoseconds of a pass by its width in tokens; ``drafts``, the same for each
        draft by its name; and ``passes``, how many timings each median is of. Widths are written as strings.
    """
    import torch

    widths = [width for width in widths if width <= models.first.target.max_positions]
    drafts = {name: engine.draft for name, engine in models.engines.items() if name is not None}
    with torch.inference_mode(), quiet_collector():
        passes = list(_passes(None, models.first.target, widths, context, keep=None))
        for name, draft in drafts.items():
            assert draft is not None, "an engine with a draft's name has that draft"
            passes += _passes(name, draft, DRAFT_WIDTHS, context, keep=1)
        times = _interleaved(passes, seconds)
    medians = {(one.model, one.width): round(median(taken)) for one, taken in zip(passes, times, strict=True)}
    return {
        "context": _filled(models.first.target, widths, context),
        "target": _by_width(medians, None),
        "drafts": {name: _by_width(medians, name) for name in drafts},
        "passes": len(times[0]),
    }


def _by_width(medians: Mapping[tuple[str | None, int], int], model: str | None) -> dict[str, int]:
    return {str(width): taken for (name, width), taken in medians.items() if name == model}


def _most_drafted(cell: Cell) -> int:
    """The tokens that a cell's method may draft at once; none are where an answer has one token only."""
    import torch

    from draftwise.methods import find_method

    no_model = cast("CausalLM", None)  # a drafter that isn't asked to draft needs none
    drafter = find_method(cell.method).drafter(no_model, cell.options, torch.empty(0))
    return min(drafter.most, cell.options.max_new_tokens - 1)


def _filled(model: CausalLM, widths: Sequence[int], context: int) -> int:
    """The tokens in a model's cache before a pass, so that the widest still fits its context."""
    return min(context, model.max_positions - max(widths))


def _passes(name: str | None, model: CausalLM, widths: Sequence[int], context: int, keep: int | None) -> Iterator[Pass]:
    """A model's passes on one cache, which every pass overwrites at the same place."""
    import torch

    from draftwise.clock import synchronize
    from draftwise.models.protocol import is_encoder_decoder

    filled = _filled(model, widths, context)
    generator = torch.Generator().manual_seed(SEED)
    size = max(context, filled + max(widths))
    ids = torch.randint(model.vocab_size, (1, size), generator=generator).to(model.device)
    cache = model.new_cache(1, filled + max(widths))
    if is_encoder_decoder(model):
        model.read_sources([ids[0, : min(context, model.max_source_tokens)].tolist()], cache)
    for first in range(0, filled, CHUNK):
        last = min(first + CHUNK, filled)
        starts = torch.full((1,), first, device=model.device)
        model.forward(ids[:, first:last], starts, cache, span=last, keep=0)
    starts = torch.full((1,), filled, device=model.device)

    def one(width: int) -> Pass:
        tokens, span, kept = ids[:, filled : filled + width], filled + width, keep or width

        def run() -> None:
            model.forward(tokens, starts, cache, span=span, keep=kept)
            synchronize((model.device,))

        return Pass(name, width, run)

    yield from map(one, widths)


def _interleaved(passes: Sequence[Pass], seconds: float) -> list[list[int]]:
    """The nanoseconds of each pass, as many of each, every time in another order."""
    for one in passes:
        for _ in range(WARM_UPS):
            one.run()
    order, shuffle = list(range(len(passes))), random.Random(SEED).shuffle
    times: list[list[int]] = [[] for _ in passes]
    end = perf_counter_ns() + int(seconds * 1e9)
    while len(times[0]) < FEWEST or (len(times[0]) < MOST and perf_counter_ns() < end):
        shuffle(order)
        for place in order:
            began = perf_counter_ns()
            passes[place].run()
            times[place].append(perf_counter_ns() - began)
    return times
