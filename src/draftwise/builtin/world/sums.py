"""`math_reasoning`: two steps over a closed table, with the work written out; and bare equations as a drill."""

import random

from draftwise.builtin.world.base import Draw, Sample, Split, draw_until, split_of
from draftwise.builtin.world.lexicon import FIRST_NAMES, THINGS

LARGEST = 20
_OPERANDS = range(1, 10)
_STARTS = range(2, 13)

_GAINS = (
    "{name} finds {n} more {things}",
    "a friend gives {name} {n} more {things}",
    "{name} buys {n} more {things}",
    "{name} picks up {n} more {things}",
    "{name} wins {n} more {things}",
)
_LOSSES = (
    "{name} gives away {n} {things}",
    "{name} loses {n} {things}",
    "{name} sells {n} {things}",
    "a thief takes {n} {things} from {name}",
    "{name} drops {n} {things}",
)
_FRAMES = (
    "At first {name} has {a} {things}. Then {first}. Later {second}. How many {things} does {name} have now?",
    "In the morning {name} owns {a} {things}. At noon {first}, and in the evening {second}. "
    "How many {things} are left?",
    "There are {a} {things} in the box of {name}. On Monday {first}. On Tuesday {second}. "
    "How many {things} does {name} own in the end?",
    "A sum for you: {name} begins with {a} {things}; {first}; after that {second}. "
    "What is the number of {things} at the end?",
)


def _apply(a: int, op: str, b: int) -> int:
    return a + b if op == "plus" else a - b


def _operation(rng: random.Random, a: int, story: bool) -> tuple[str, int]:
    """Choose what follows on `a`; in a story no number is 1, so that every thing stands in the plural."""
    choices = [(op, b) for op in ("plus", "minus") for b in _OPERANDS if 0 <= _apply(a, op, b) <= LARGEST]
    if story:
        choices = [(op, b) for op, b in choices if 1 not in (b, _apply(a, op, b))]
    op = rng.choice(("plus", "minus"))
    return rng.choice([choice for choice in choices if choice[0] == op] or choices)


def _story(rng: random.Random, op: str, n: int, name: str, things: str) -> str:
    return rng.choice(_GAINS if op == "plus" else _LOSSES).format(name=name, n=n, things=things)


def _make(rng: random.Random) -> Draw:
    name, things, a = rng.choice(FIRST_NAMES), rng.choice(THINGS), rng.choice(_STARTS)
    op1, b = _operation(rng, a, story=True)
    middle = _apply(a, op1, b)
    op2, c = _operation(rng, middle, story=True)
    end = _apply(middle, op2, c)
    turn = rng.choice(_FRAMES).format(
        name=name,
        a=a,
        things=things,
        first=_story(rng, op1, b, name, things),
        second=_story(rng, op2, c, name, things),
    )
    answer = (
        f"{name} starts with {a} {things}. {a} {op1} {b} is {middle}. {middle} {op2} {c} is {end}. "
        f"So {name} has {end} {things}."
    )
    sample = Sample("math_reasoning", (turn,), (answer,), ((str(middle), str(end)),))
    return Draw((a, op1, b, op2, c), sample)


def draw_sum(split: Split, rng: random.Random) -> Sample:
    """Draw a sum whose five numbers and operations belong to `split`."""
    return draw_until(split, _make, rng)


def draw_equations(rng: random.Random, count: int = 4) -> Sample:
    """Draw a drill line of bare equations; chained pairs that are held out never occur."""
    parts: list[str] = []
    for _ in range(count):
        a = rng.randint(0, LARGEST)
        op, b = _operation(rng, a, story=False)
        parts.append(f"{a} {op} {b} is {_apply(a, op, b)}.")
    return Sample("equations", (f"Table: {parts[0]}",), (" ".join(parts[1:]),), ((),))


def is_held_out(a: int, op1: str, b: int, op2: str, c: int) -> bool:
    """Say whether a sum is kept from training."""
    return split_of("math_reasoning", a, op1, b, op2, c) != "train"
