"""`grammar correction`: a sentence with one or two errors and the sentence without them."""

import random
from collections.abc import Callable

from draftwise.builtin.world import german as de
from draftwise.builtin.world.base import Draw, Sample, Split, article, draw_until
from draftwise.builtin.world.lexicon import FIRST_NAMES

_FRAMES = (
    "Correct the sentence: {text}",
    "Fix the grammar: {text}",
    "Rewrite without mistakes: {text}",
    "Which form is right? {text}",
)
_PRESENT = ("Every day", "Every morning", "On Mondays", "In summer", "Each evening")
_PAST = ("Yesterday", "Last week", "Three days ago", "Last Sunday", "A year ago")
_TAILS = (
    "while {name} waits near the old bridge",
    "because {name} has no time for that now",
    "before {name} comes home from the fair",
    "when {name} is not there to help",
)
_PAST_TAILS = (
    "while {name} waited near the old bridge",
    "because {name} had no time for that then",
    "before {name} came home from the fair",
    "when {name} was not there to help",
)
_PLURALS = {"child": "children"}

# A sentence is a list of words; an error changes it in place and says whether it could.
Words = list[str]
Error = Callable[[random.Random, Words, dict[str, int]], bool]


def _plural(noun: str) -> str:
    return _PLURALS.get(noun, noun + "s")


def _sentence(rng: random.Random) -> tuple[Words, dict[str, int], tuple[object, ...], de.Verb, bool, bool]:
    past, plural = rng.random() < 0.5, rng.random() < 0.5
    time, verb = rng.choice(_PAST if past else _PRESENT), rng.choice(de.VERBS)
    person, adjective = rng.choice(de.PEOPLE).english, rng.choice(list(de.PERSON_ADJECTIVES.values()))
    thing, quality = rng.choice(de.OBJECTS).english, rng.choice(list(de.OBJECT_ADJECTIVES.values()))
    tail = rng.choice(_PAST_TAILS if past else _TAILS).format(name=rng.choice(FIRST_NAMES))
    subject = _plural(person) if plural else person
    form = verb.past if past else verb.english if plural else verb.third
    head = [*time.split(), "the", adjective, subject, form]
    goods = article(thing if rng.random() < 0.5 else f"{quality} {thing}").split()
    place = rng.choice(list(de.PLACES.values())).split()
    at = len(time.split())
    spots = {"the": at, "adjective": at + 1, "noun": at + 2, "verb": at + 3, "article": at + 4}
    words = [*head, *goods, *place, *tail.split()]
    return words, spots, (person, adjective, verb.english, thing, time), verb, past, plural


def _broken_verb(verb: de.Verb, past: bool, plural: bool) -> str:
    if past:
        return verb.english if plural else verb.third
    return verb.third if plural else verb.english


def _spoil(rng: random.Random, words: Words, spots: dict[str, int], kind: str, wrong_verb: str) -> None:
    if kind == "verb":
        words[spots["verb"]] = wrong_verb
    elif kind == "article":
        at = spots["article"]
        words[at] = "an" if words[at] == "a" else "a"
    elif kind == "order":
        at = spots["adjective"]
        words[at], words[at + 1] = words[at + 1], words[at]


def _make(rng: random.Random) -> Draw:
    words, spots, key, verb, past, plural = _sentence(rng)
    right = " ".join(words) + "."
    kinds = rng.sample(("verb", "verb", "article", "order", "doubled", "missing"), rng.choice((1, 2, 2)))
    for kind in kinds:
        _spoil(rng, words, spots, kind, _broken_verb(verb, past, plural))
    if "doubled" in kinds:  # after the changes that rely on positions
        at = rng.randrange(spots["the"], len(words))
        words.insert(at, words[at])
    elif "missing" in kinds:
        del words[spots["the"]]
    wrong = " ".join(words) + "."
    sample = Sample("grammar correction", (rng.choice(_FRAMES).format(text=wrong),), (right,), ((right.rstrip("."),),))
    return Draw(key, sample)


def draw_correction(split: Split, rng: random.Random) -> Sample:
    """Draw a sentence whose people, verb, thing and time together belong to `split`."""
    return draw_until(split, _make, rng)
