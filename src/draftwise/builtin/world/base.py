"""What every part of the world shares: the sample type and the split by hash."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")

_BUCKETS = 10
_MAX_DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt of one or two turns with the reference answer and asked values of each turn."""

    subtask: str
    turns: tuple[str, ...]
    answers: tuple[str, ...]
    fields: tuple[tuple[str, ...], ...]


class Draw(NamedTuple):
    """A drawn sample and the combination that decides which split it belongs to."""

    key: tuple[object, ...]
    sample: Sample


def split_of(*key: object) -> Split:
    """Say to which split a combination belongs: one bucket in ten is `dev`, one `test`."""
    digest = hashlib.blake2b("|".join(map(str, key)).encode(), digest_size=8).digest()
    bucket = int.from_bytes(digest, "big") % _BUCKETS
    return "dev" if bucket == 0 else "test" if bucket == 1 else "train"


def draw_until(split: Split, make: Callable[[random.Random], Draw], rng: random.Random) -> Sample:
    """Draw until the combination falls into `split`."""
    for _ in range(_MAX_DRAWS):
        drawn = make(rng)
        if split_of(drawn.sample.subtask, *drawn.key) == split:
            return drawn.sample
    raise RuntimeError(f"no combination of split {split!r} in {_MAX_DRAWS} draws")


def article(word: str) -> str:
    """Put the indefinite article in front."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def capital(text: str) -> str:
    """Write the first letter large and leave the rest."""
    return text[0].upper() + text[1:]
