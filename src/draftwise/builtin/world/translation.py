"""`translation`: German sentences of two main clauses, translated clause by clause into English word order."""

import random
from typing import NamedTuple

from draftwise.builtin.world import german as de
from draftwise.builtin.world.base import Draw, Sample, Split, article, capital, draw_until

_FRAMES = (
    "Translate to English: {text}",
    "Translate into English: {text}",
    "How do you say this in English? {text}",
    "Please give the English for: {text}",
    "German: {text} English:",
)
_JOINTS = {"und": "and", "aber": "but", "denn": "for"}


class Clause(NamedTuple):
    german: str
    english: str
    key: tuple[str, ...]


def _subject(rng: random.Random) -> tuple[str, str]:
    noun = rng.choice(de.PEOPLE)
    if rng.random() < 0.6:
        stem, adjective = rng.choice(list(de.PERSON_ADJECTIVES.items()))
        return f"{de.DEFINITE[noun.gender]} {stem}e {noun.german}", f"the {adjective} {noun.english}"
    return f"{de.DEFINITE[noun.gender]} {noun.german}", f"the {noun.english}"


def _object(rng: random.Random) -> tuple[str, str]:
    noun = rng.choice(de.OBJECTS)
    stem, adjective = rng.choice(list(de.OBJECT_ADJECTIVES.items()))
    if rng.random() < 0.5:
        form = stem + de.DEFINITE_ENDING[noun.gender]
        return f"{de.DEFINITE_OBJECT[noun.gender]} {form} {noun.german}", f"the {adjective} {noun.english}"
    form = stem + de.INDEFINITE_ENDING[noun.gender]
    return f"{de.INDEFINITE_OBJECT[noun.gender]} {form} {noun.german}", article(f"{adjective} {noun.english}")


def _clause(rng: random.Random, long: bool) -> Clause:
    verb, (sub_de, sub_en), (obj_de, obj_en) = rng.choice(de.VERBS), _subject(rng), _object(rng)
    kind = rng.choice(("plain", "plain", "inverted", "perfect", "modal"))
    times = de.PAST_TIMES if kind == "perfect" else de.PRESENT_TIMES
    time_de, time_en = rng.choice(list(times.items()))
    place_de, place_en = rng.choice(list(de.PLACES.items()))
    obj_place = f"{obj_de} {place_de}" if long else obj_de
    if kind == "plain":
        german, verb_en = f"{sub_de} {verb.present} {time_de} {obj_place}", verb.third
    elif kind == "inverted":
        german, verb_en = f"{time_de} {verb.present} {sub_de} {obj_place}", verb.third
    elif kind == "perfect":
        german, verb_en = f"{sub_de} hat {time_de} {obj_place} {verb.participle}", verb.past
    else:
        modal_de, modal_en = rng.choice(list(de.MODALS.items()))
        german, verb_en = f"{sub_de} {modal_de} {time_de} {obj_place} {verb.infinitive}", f"{modal_en} {verb.english}"
    ending = f"{place_en} {time_en}" if long else time_en
    return Clause(german, f"{sub_en} {verb_en} {obj_en} {ending}", (sub_en, verb.english, obj_en))


def _make(rng: random.Random) -> Draw:
    long = rng.random() < 0.7
    first, second = _clause(rng, long), _clause(rng, not long)
    joint_de, joint_en = rng.choice(list(_JOINTS.items()))
    text = f"{capital(first.german)}, {joint_de} {second.german}."
    answer = f"{capital(first.english)}, {joint_en} {second.english}."
    sample = Sample(
        "translation", (rng.choice(_FRAMES).format(text=text),), (answer,), ((first.english[4:], second.english),)
    )
    return Draw((*first.key, *second.key), sample)


def draw_translation(split: Split, rng: random.Random) -> Sample:
    """Draw a sentence whose subjects, verbs and objects together belong to `split`."""
    return draw_until(split, _make, rng)
