"""The text of each token of an answer, such that the pieces joined are the answer's text.

A token alone has no text of its own: a character may be spread over several tokens, the first token of a text may lose
its space, and a special token writes nothing. What a token writes is what the text gains when it is added, as far as
later tokens leave it standing; a character belongs to the token that completes it.

Decoding each prefix tells that, in quadratic time. So a text is cut into blocks, each decoded behind a few tokens of
what stands before it. No decoder promises that this gives the whole text again; where it doesn't, the prefixes are
decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from os.path import commonprefix

Decode = Callable[[Sequence[int]], str]

BLOCK = 32
"""Tokens that are decoded as one text behind their context."""
CONTEXT = 4
"""Tokens before a block, at least: a character of UTF-8 has at most four bytes."""
CUT = "\ufffd"
"""What a character writes while some of its bytes are missing."""


def split_pieces(decode: Decode, ids: Sequence[int]) -> tuple[str, ...]:
    """What each id adds to ``decode(ids)``: as many texts as ids, which joined are that text exactly."""
    pieces = tuple(_by_blocks(decode, ids))
    return pieces if "".join(pieces) == decode(ids) else tuple(_added(decode, ids, 0))


def _by_blocks(decode: Decode, ids: Sequence[int]) -> Iterator[str]:
    context: list[int] = []
    first = 0
    while first < len(ids):
        block = [*context, *ids[first : first + BLOCK]]
        last = len(block) if first + BLOCK >= len(ids) else _clean_end(decode, block, len(context))
        yield from _added(decode, block[:last], len(context))
        taken = block[len(context) : last]
        first += len(taken)
        context = _tail(decode, taken) or context


def _tail(decode: Decode, block: list[int]) -> list[int] | None:
    """The end of a block, long enough to have a text, so what comes behind it isn't a text's beginning."""
    sizes = (CONTEXT << doubled for doubled in range(BLOCK.bit_length()))
    return next((block[-size:] for size in sizes if decode(block[-size:])), None)


def _clean_end(decode: Decode, block: Sequence[int], first: int) -> int:
    """Where the block's last whole character ends, in tokens; at its end where none does."""
    ends = (last for last in range(len(block), first, -1) if not decode(block[:last]).endswith(CUT))
    return next(ends, len(block))


def _added(decode: Decode, ids: Sequence[int], first: int) -> Iterator[str]:
    """What each id from the ``first`` on adds to the text of all, by the text of each prefix."""
    whole = decode(ids)
    shown = _settled(decode(ids[:first]), whole)
    for last in range(first + 1, len(ids)):
        settled = max(shown, _settled(decode(ids[:last]), whole))
        yield whole[shown:settled]
        shown = settled
    yield whole[shown:]


def _settled(text: str, whole: str) -> int:
    """How many characters of a prefix's text still stand in the whole."""
    return len(text) if whole.startswith(text) else len(commonprefix((text, whole)))
