"""`rag`: passages about people, of which one answers the question. Names are fresh combinations of name words."""

import random
from collections.abc import Sequence

from draftwise.builtin.world.base import Draw, Sample, Split, draw_until
from draftwise.builtin.world.lexicon import (
    COLOURS,
    FIRST_NAMES,
    INSTRUMENTS,
    MEALS,
    MONTHS,
    PETS,
    SURNAMES,
    TOWNS,
    TRADES,
)

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "home town": TOWNS,
    "favourite colour": COLOURS,
    "favourite animal": PETS,
    "trade": TRADES,
    "instrument": INSTRUMENTS,
    "birth month": MONTHS,
    "favourite meal": MEALS,
    "lucky number": tuple(map(str, range(2, 21))),
}

# Passages, and sentences in each.
_SIZES = ((3, 5), (4, 4))
_EASY = ((1, 3), (2, 2), (2, 3))
_SENTENCES = (
    "The {attribute} of {name} is {value}.",
    "Everyone knows that the {attribute} of {name} is {value}.",
    "It is said that the {attribute} of {name} is {value}.",
    "By the way, the {attribute} of {name} is {value}.",
)
# (question, answer): the wording of the answer follows from the question.
_FORMS = (
    (
        "What is {name}'s {one}, and what is {name}'s {two}?",
        "The {one} of {name} is {first}, and the {two} of {name} is {second}, as passage {number} says.",
    ),
    (
        "Read the passages and tell me {name}'s {one} and {name}'s {two}.",
        "According to passage {number}, the {one} of {name} is {first}, and the {two} of {name} is {second}.",
    ),
    (
        "Which passage gives {name}'s {one} and {name}'s {two}?",
        "It is passage {number}: the {one} of {name} is {first}, and the {two} of {name} is {second}.",
    ),
)


def _passage(rng: random.Random, number: int, name: str, values: dict[str, str]) -> str:
    order = list(values)
    rng.shuffle(order)
    sentences = [
        (_SENTENCES[0] if rng.random() < 0.6 else rng.choice(_SENTENCES)).format(
            attribute=key, name=name, value=values[key]
        )
        for key in order
    ]
    return f"Passage {number} about {name}: " + " ".join(sentences)


def _people(rng: random.Random, count: int) -> list[str]:
    firsts, lasts = rng.sample(FIRST_NAMES, count), rng.sample(SURNAMES, count)
    return [f"{first} {last}" for first, last in zip(firsts, lasts, strict=True)]


def _make(rng: random.Random, sizes: Sequence[tuple[int, int]]) -> Draw:
    count, width = rng.choice(sizes)
    names, asked = _people(rng, count), rng.sample(list(ATTRIBUTES), width)
    chosen = {key: rng.sample(ATTRIBUTES[key], count) for key in asked}
    texts = [_passage(rng, i + 1, name, {key: chosen[key][i] for key in asked}) for i, name in enumerate(names)]
    target = rng.randrange(count)
    one, two = rng.sample(asked, 2)
    question, reply = rng.choice(_FORMS)
    first, second = chosen[one][target], chosen[two][target]
    slots = {"one": one, "two": two, "name": names[target], "first": first, "second": second}
    turn = "\n".join([*texts, "Question: " + question.format(**slots)])
    answer = reply.format(number=target + 1, **slots)
    sample = Sample("rag", (turn,), (answer,), ((first, second, f"passage {target + 1}"),))
    return Draw((names[target],), sample)


def draw_passages(split: Split, rng: random.Random, easy: bool = False) -> Sample:
    """Draw passages and a question about a person whose name belongs to `split`; `easy` has one or two of them."""
    sizes = _EASY if easy else _SIZES
    return draw_until(split, lambda rng: _make(rng, sizes), rng)


def draw_recall(rng: random.Random) -> Sample:
    """Draw a drill: sentences about one to three people, to be said again in another order."""
    sizes = rng.choice(((1, 3), (2, 1), (3, 1), (2, 2), (2, 3), (3, 2)))
    names, asked = _people(rng, sizes[0]), rng.sample(list(ATTRIBUTES), sizes[1])
    told = [
        _SENTENCES[0].format(attribute=key, name=name, value=value)
        for key in asked
        for name, value in zip(names, rng.sample(ATTRIBUTES[key], sizes[0]), strict=True)
    ]
    again = rng.sample(told, len(told))
    rng.shuffle(told)
    return Sample("recall", ("Repeat: " + " ".join(told),), (" ".join(again),), ((),))
