"""Decode the same prompts plainly and with a draft, in all the ways that must not matter, and compare the ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks.exactness.guesses import Guesses
from benchmarks.exactness.prompts import Item
from draftwise import Engine
from draftwise.analysis.checks import first_difference
from draftwise.generation import Generation
from draftwise.options import DecodingOptions

GAMMAS = tuple(range(1, 9))
BATCHES = (1, 4)
REFERENCE_BATCH = 16
"""Rows of the plain run that all others are compared with: most of its time is one reading of the weights a pass."""
SHARE = 0.5
"""Of the places where the draft that errs by the dice is right."""

Prompts = list[list[int]]
Decode = Callable[[Prompts, Prompts, dict[str, Any]], list[Generation]]
"""Answers prompts; told their whole plain texts, and options."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to decode: ``draft`` is "none" (plain), "model" (the engine's own) or "guesses"."""

    draft: str
    batch: int
    gamma: int = 0


class Difference(NamedTuple):
    """The first id in which an answer differs; -1 where an answer is over."""

    prompt: str
    place: int
    plain: int
    other: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a way: prompts, equal answers, tokens drafted and accepted, and how long it took, in seconds."""

    way: Way
    prompts: int
    equal: int
    first: Difference | None
    drafted: int
    accepted: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether all answers are equal, and not because nothing was drafted."""
        return self.first is None and (self.way.draft == "none" or self.drafted > 0)


def ways(gammas: Sequence[int] = GAMMAS, batches: Sequence[int] = BATCHES) -> Iterator[Way]:
    """Every way that is checked."""
    for batch in batches:
        yield Way("none", batch)
        for draft in ("model", "guesses"):
            yield from (Way(draft, batch, gamma) for gamma in gammas)


def check(engine: Engine, items: Sequence[Item], options: DecodingOptions, wanted: Sequence[Way]) -> Iterator[Outcome]:
    """Decode in each way and compare with one plain run of large batches.

    Args:
        engine: with a draft if a way needs one.
        items: the prompts.
        options: of all answers; gamma is the way's own.
        wanted: the ways.
    """
    plain = [answer.tokens for answer in _answers(engine, items, options, Way("none", REFERENCE_BATCH), [])]
    for way in wanted:
        began = perf_counter()
        found = _answers(engine, items, options, way, plain)
        pairs = zip(items, plain, found, strict=True)
        differences = [_difference(item, right, other.tokens) for item, right, other in pairs if right != other.tokens]
        rounds = [item for answer in found for item in answer.rounds]
        yield Outcome(
            way=way,
            prompts=len(items),
            equal=len(items) - len(differences),
            first=differences[0] if differences else None,
            drafted=sum(item.drafted for item in rounds),
            accepted=sum(item.accepted for item in rounds),
            seconds=perf_counter() - began,
        )


def _answers(
    engine: Engine, items: Sequence[Item], options: DecodingOptions, way: Way, plain: Sequence[Sequence[int]]
) -> list[Generation]:
    """Each prompt's answer; ``plain`` are the ids that guesses are made from."""
    keywords = _keywords(replace(options, gamma=way.gamma or options.gamma))
    decode = _decoder(engine, way)
    known = plain or [()] * len(items)
    answers: list[Generation] = []
    pairs = list(zip(items, known, strict=True))
    for start in range(0, len(pairs), way.batch):
        rows = pairs[start : start + way.batch]
        prompts = [list(item.ids) for item, _ in rows]
        texts = [[*item.ids, *answer] for item, answer in rows]
        answers += decode(prompts, texts, keywords)
    return answers


def _decoder(engine: Engine, way: Way) -> Decode:
    def with_guesses(prompts: Prompts, texts: Prompts, keywords: dict[str, Any]) -> list[Generation]:
        guessing = Engine(engine.target, Guesses(engine.target, texts, SHARE))
        return guessing.generate(prompts, method="sps", **keywords)

    if way.draft == "guesses":
        return with_guesses
    method = "as" if way.draft == "none" else "sps"
    return lambda prompts, texts, keywords: engine.generate(prompts, method=method, **keywords)


def _keywords(options: DecodingOptions) -> dict[str, Any]:
    return {name: value for name, value in asdict(options).items() if name != "seed"}


def _difference(item: Item, plain: Sequence[int], other: Sequence[int]) -> Difference:
    place = first_difference(plain, other)
    return Difference(item.name, place, _at(plain, place), _at(other, place))


def _at(ids: Sequence[int], place: int) -> int:
    return ids[place] if place < len(ids) else -1
