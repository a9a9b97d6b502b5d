"""`multi-turn`: chats of two turns; the second turn can only be answered with the first in mind."""

import random
from collections.abc import Callable

from draftwise.builtin.world.base import Draw, Sample, Split, article, draw_until
from draftwise.builtin.world.lexicon import FIRST_NAMES, SEASONS, TOWNS

_GIFTS = {
    "painting": "box of brushes", "reading": "book of old tales", "cooking": "large copper pan",
    "gardening": "bag of rose seeds", "fishing": "long wooden rod", "sewing": "silver thimble",
    "singing": "book of songs", "hiking": "pair of boots", "chess": "carved chess board", "sailing": "brass compass",
}  # fmt: skip
_FOODS = {
    "dog": "a juicy bone", "cat": "some fresh fish", "goat": "a bundle of hay", "rabbit": "a crisp carrot",
    "parrot": "a handful of nuts", "horse": "a sweet apple", "hedgehog": "a bowl of beetles", "raven": "a shiny button",
}  # fmt: skip
_CLOTHES = {
    "spring": ("rainy", "a long raincoat", "boat"), "summer": ("hot", "a straw hat", "cart"),
    "autumn": ("windy", "a warm scarf", "coach"), "winter": ("cold", "a thick fur coat", "sledge"),
}  # fmt: skip
_DISHES = {
    "eggs": ("an omelette", "cold milk"), "flour": ("pancakes", "apple juice"), "trout": ("grilled fish", "white wine"),
    "beans": ("a thick stew", "dark beer"), "rice": ("a sweet pudding", "mint tea"), "cabbage": ("a hot soup", "cider"),
    "noodles": ("a noodle bake", "red wine"), "mushrooms": ("a mushroom pie", "plum brandy"),
}  # fmt: skip
_EXTRAS = ("butter", "onions", "herbs", "cheese", "honey", "garlic", "cream", "bacon")
_TOOLS = {
    "mend a fence": ("hammer", "smithy"), "cut a plank": ("saw", "carpenter"), "dig a well": ("spade", "iron shop"),
    "paint a door": ("brush", "colour shop"), "sew a sail": ("needle", "tailor"), "draw a map": ("pen", "paper mill"),
    "catch a fish": ("net", "harbour store"), "light a room": ("lantern", "lamp maker"),
}  # fmt: skip
_NAMES = ("Rufo", "Pip", "Bella", "Momo", "Flake", "Tiko", "Luna", "Socks", "Biscuit", "Nero")


def _gift(rng: random.Random) -> Draw:
    friend, pet_name = rng.choice(FIRST_NAMES), rng.choice(_NAMES)
    hobby, gift = rng.choice(list(_GIFTS.items()))
    pet, food = rng.choice(list(_FOODS.items()))
    first = rng.choice(
        (
            "My friend {f} likes {h} and keeps a {p} called {n}. Which present would please {f}?",
            "I am looking for a present for {f}, who has a {p} named {n} and loves {h}. Any idea?",
            "It is the birthday of {f}. {f} is fond of {h} and owns a {p} called {n}. What shall I give?",
        )
    ).format(f=friend, h=hobby, p=pet, n=pet_name)
    second = rng.choice(("And what could I bring for the animal?", "What would the pet like?"))
    answers = (
        f"Since {friend} is so fond of {hobby}, I think {article(gift)} would be a good present for {friend}.",
        f"For {pet_name} the {pet} you could bring {food}, and then both {pet_name} and {friend} will be happy.",
    )
    return _draw("gift", (friend, hobby, pet), (first, second), answers, ((gift, friend), (pet_name, food)))


def _trip(rng: random.Random) -> Draw:
    friend, season, towns = rng.choice(FIRST_NAMES), rng.choice(SEASONS), rng.sample(TOWNS, 2)
    weather, clothes, vehicle = _CLOTHES[season]
    first = rng.choice(
        (
            "I want to travel from {a} to {b} in {s} with {f}. What should we wear?",
            "In {s} my cousin {f} and I will go from {a} to {b}. Which clothes do we need?",
            "We plan a trip in {s}: {f} and I leave {a} and visit {b}. What do we put on?",
        )
    ).format(a=towns[0], b=towns[1], s=season, f=friend)
    second = rng.choice(("And how do we get there?", "Which way of travelling is best?"))
    answers = (
        f"The weather in {towns[1]} is {weather} in {season}, so you and {friend} should each wear {clothes}.",
        f"In {season} you and {friend} should go by {vehicle}, because the {vehicle} from {towns[0]} to {towns[1]} "
        "is fast.",
    )
    fields = ((weather, clothes, towns[1]), (vehicle, towns[0], towns[1]))
    return _draw("trip", (friend, season, *towns), (first, second), answers, fields)


def _meal(rng: random.Random) -> Draw:
    guest, extra, main = rng.choice(FIRST_NAMES), rng.choice(_EXTRAS), rng.choice(list(_DISHES))
    dish, drink = _DISHES[main]
    first = rng.choice(
        (
            "I have {m} and {e} in the kitchen, and {g} comes to dinner. What can I cook?",
            "Tonight {g} is my guest. There are only {m} and {e} left. Which meal can I make?",
            "Help me with dinner for {g}: I bought {m} and some {e}. What goes well with that?",
        )
    ).format(m=main, e=extra, g=guest)
    second = rng.choice(("And what should we drink with it?", "Which drink would suit the meal?"))
    answers = (
        f"With {main} and {extra} you can make {dish}, and if you add the {extra} at the end, {guest} will love it.",
        f"I would serve {drink}, since {drink} goes very well with {dish}, and {guest} will surely ask for more.",
    )
    return _draw("meal", (guest, extra, main), (first, second), answers, ((dish, extra), (drink, dish, guest)))


def _tool(rng: random.Random) -> Draw:
    friend, town, job = rng.choice(FIRST_NAMES), rng.choice(TOWNS), rng.choice(list(_TOOLS))
    tool, shop = _TOOLS[job]
    first = rng.choice(
        (
            "My neighbour {f} from {t} wants to {j}. Which tool is needed?",
            "How can I help {f} to {j} here in {t}? What do we need?",
            "Today {f} has to {j} in {t}. What should I lend to {f}?",
        )
    ).format(f=friend, t=town, j=job)
    second = rng.choice(("And where can we buy one?", "Who sells such a thing?"))
    answers = (
        f"To {job}, {friend} needs a good {tool}, and with a {tool} the work will be done in an hour.",
        f"You can buy a {tool} at the {shop} in {town}, and {friend} should ask there for a strong {tool}.",
    )
    return _draw("tool", (friend, town, job), (first, second), answers, ((tool, friend), (tool, shop, town)))


def _draw(
    topic: str,
    key: tuple[object, ...],
    turns: tuple[str, str],
    answers: tuple[str, str],
    fields: tuple[tuple[str, ...], ...],
) -> Draw:
    return Draw((topic, *key), Sample("multi-turn", turns, answers, fields))


_TOPICS: tuple[Callable[[random.Random], Draw], ...] = (_gift, _trip, _meal, _tool)


def draw_chat(split: Split, rng: random.Random) -> Sample:
    """Draw a chat whose people, places and topics together belong to `split`."""
    return draw_until(split, lambda rng: rng.choice(_TOPICS)(rng), rng)
