"""`summarization`: three paragraphs about one person; the summary joins the sentences that matter."""

import random
from collections.abc import Sequence

from draftwise.builtin.world.base import Draw, Sample, Split, article, draw_until
from draftwise.builtin.world.lexicon import FIRST_NAMES, SEASONS, SURNAMES, TOWNS

_SHOPS = tuple(["bakery", "bookshop", "workshop", "school", "brewery", "inn", "theatre", "library", "mill", "dairy"])
_TROUBLES = tuple(["flood", "fire", "storm", "frost", "thief", "quarrel", "drought", "fever", "landslide", "shortage"])
_PRIZES = ("golden spoon", "silver bell", "green ribbon", "royal seal", "blue lantern", "town medal", "oak wreath")
_HELPERS = tuple(["brother", "sister", "aunt", "uncle", "neighbour", "teacher", "cousin", "grandmother"])

# Three kinds of key sentence for each paragraph, all worded alike within a kind.
_STARTS = (
    "In {season} {name} opened {shop_a} in {town}.",
    "It was in {season} that {name} opened {shop_a} in {town}.",
    "This {season} {name} opened {shop_a} in {town}, as we reported.",
)
_MIDDLES = (
    "Soon a {trouble} ruined the {shop}.",
    "Then, without warning, a {trouble} ruined the {shop}.",
    "Nobody had expected it, but a {trouble} ruined the {shop}.",
)
_ENDS = (
    "With the help of {helper_a} from {town2}, {name} won the {prize}.",
    "In the end, with the help of {helper_a} from {town2}, {name} won the {prize}.",
    "At last, and with the help of {helper_a} from {town2}, {name} won the {prize}.",
)
_FILLERS = (
    "The streets of {other_town} were full of people that day.",
    "Old {other} told everyone who would listen that it could never work.",
    "The weather was fine and the roads were dry.",
    "Many people in {other_town} talked about nothing else for weeks.",
    "A letter from {other} arrived on the following Monday.",
    "Some of the neighbours brought bread, and others brought good advice.",
    "The mayor of {other_town} could not come because of a cold.",
    "Even {other} had to admit that the idea was not a bad one.",
    "There was music in the evening, and the children danced.",
    "In {other_town} the price of wood rose for the third time.",
    "Nobody knew then how the story would go on.",
    "The work was hard, and the days were long.",
    "A painter from {other_town} made a picture of it.",
    "It is said that {other} laughed for the first time in years.",
    "The newspaper of {other_town} wrote two pages about the matter.",
    "Afterwards {other} went home and slept for a whole day.",
)
_FORMS = (
    (
        "Summarize the text.",
        "In {season} {name} opened {shop_a} in {town}. A {trouble} ruined it, but in the end {name} won the {prize}.",
    ),
    (
        "Give a summary of the report.",
        "{name} opened {shop_a} in {town} in {season}, a {trouble} ruined it, and with the help of {helper_a}, "
        "{name} won the {prize}.",
    ),
    (
        "What happened, in short?",
        "After a {trouble} ruined the {shop} in {town}, {name} won the {prize} with the help of {helper_a} "
        "from {town2}.",
    ),
)


def _paragraph(rng: random.Random, key: str, fillers: Sequence[str]) -> str:
    sentences = list(fillers)
    sentences.insert(rng.randint(0, len(sentences)), key)
    return " ".join(sentences)


def _make(rng: random.Random) -> Draw:
    town, town2, other_town = rng.sample(TOWNS, 3)
    first, other = rng.sample(FIRST_NAMES, 2)
    shop = rng.choice(_SHOPS)
    slots = {
        "name": f"{first} {rng.choice(SURNAMES)}",
        "season": rng.choice(SEASONS),
        "town": town,
        "town2": town2,
        "shop": shop,
        "shop_a": article(shop),
        "trouble": rng.choice(_TROUBLES),
        "prize": rng.choice(_PRIZES),
        "helper_a": article(rng.choice(_HELPERS)),
    }
    fillers = [line.format(other_town=other_town, other=other) for line in rng.sample(_FILLERS, 10)]
    keys = [rng.choice(kind).format(**slots) for kind in (_STARTS, _MIDDLES, _ENDS)]
    paragraphs = [_paragraph(rng, key, fillers[4 * i : 4 * i + 4]) for i, key in enumerate(keys)]
    question, reply = rng.choice(_FORMS)
    parts = [*paragraphs, question] if rng.random() < 0.7 else [question, *paragraphs, "Summary:"]
    answer = reply.format(**slots)
    fields = (slots["name"], slots["town"], slots["trouble"], slots["prize"])
    sample = Sample("summarization", ("\n".join(parts),), (answer,), (fields,))
    return Draw((slots["name"], town), sample)


def draw_news(split: Split, rng: random.Random) -> Sample:
    """Draw a report about a person and a town that belong to `split`."""
    return draw_until(split, _make, rng)
