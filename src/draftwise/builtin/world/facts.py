"""`qa`: what the world's towns are known for. The table is drawn once from a fixed seed; a question asks two facts."""

import random
from functools import cache

from draftwise.builtin.world.base import Draw, Sample, Split, draw_until
from draftwise.builtin.world.lexicon import MONTHS, PETS, RIVERS, SIGHTS, SURNAMES, TOWNS, WARES

FACT_SEED = 7

_VALUES: dict[str, tuple[str, ...]] = {
    "river": RIVERS,
    "ruler": SURNAMES[:40],
    "ware": WARES,
    "sight": SIGHTS,
    "flag": PETS,
    "fair": MONTHS,
}
_ASKS: dict[str, tuple[str, ...]] = {
    "river": ("which river flows through {town}", "on which river does {town} lie"),
    "ruler": ("who rules {town}", "what is the name of the mayor of {town}"),
    "ware": ("what do the people of {town} sell", "which ware comes from {town}"),
    "sight": ("which sight is {town} famous for", "what do visitors admire in {town}"),
    "flag": ("which animal is on the flag of {town}", "what animal stands for {town}"),
    "fair": ("in which month is the fair of {town}", "when does {town} hold its fair"),
}
_TELLS: dict[str, str] = {
    "river": "the river that flows through {town} is the {value}",
    "ruler": "the mayor who rules {town} is called {value}",
    "ware": "the people of {town} are known for selling {value}",
    "sight": "visitors come to {town} to admire the {value}",
    "flag": "the animal on the flag of {town} is the {value}",
    "fair": "the great fair of {town} is held in {value}",
}
_FRAMES = (
    "Question: {one}, and {two}?",
    "Please tell me: {one}, and {two}?",
    "I would like to know two things about {town}: {one}, and {two}?",
    "A traveller asks about {town}: {one}, and {two}?",
)


@cache
def table() -> dict[str, dict[str, str]]:
    """Return every fact: town, then attribute, then value. There are 96 towns and six attributes, 576 facts."""
    rng = random.Random(FACT_SEED)
    return {town: {name: rng.choice(values) for name, values in _VALUES.items()} for town in TOWNS}


def _make(rng: random.Random) -> Draw:
    town = rng.choice(TOWNS)
    one, two = rng.sample(list(_VALUES), 2)
    frame, ask1, ask2 = rng.choice(_FRAMES), rng.choice(_ASKS[one]), rng.choice(_ASKS[two])
    turn = frame.format(town=town, one=ask1.format(town=town), two=ask2.format(town=town))
    values = table()[town]
    told = [_TELLS[name].format(town=town, value=values[name]) for name in (one, two)]
    answer = f"{told[0][0].upper()}{told[0][1:]}, and {told[1]}."
    sample = Sample("qa", (turn,), (answer,), ((values[one], values[two]),))
    return Draw((town, one, two, _FRAMES.index(frame)), sample)


def draw_question(split: Split, rng: random.Random) -> Sample:
    """Draw a question whose (town, attribute pair, template) belongs to `split`."""
    return draw_until(split, _make, rng)
