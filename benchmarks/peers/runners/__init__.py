"""One module a peer, each with ``load(case)`` and ``passes(case)``; only the peer's own process imports it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

Decode = Callable[[list[int], int], Sequence[int]]
"""Greedy decoding: a prompt's ids and how many new ones to write, whatever they are; gives the new ids."""


class Unable(Exception):
    """What a peer can't do, in one line."""


class Loaded(NamedTuple):
    """A peer with its models in memory: its ways to decode by mode, why the others can't, and how it was set up."""

    modes: dict[str, Decode]
    unable: dict[str, str]
    facts: dict[str, Any]


class Passes(Protocol):
    """A target alone, fed by hand."""

    facts: dict[str, Any]

    def fill(self, ids: list[int]) -> None:
        """Begin a new context with these ids."""

    def feed(self, ids: list[int]) -> None:
        """One pass over further ids, with logits for each of them; returns when they are there."""
