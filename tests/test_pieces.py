from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from draftwise import Engine
from draftwise.pieces import split_pieces
from toys import toy

TEXT = "Grüße aus 東京! 👩‍🚀 x → y, naïve café\n\n  indented \ufffd end"


def byte_level() -> Tokenizer:
    """One token a byte, 256 special."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken("<end>", special=True)])
    return inner


WORDS = ["▁", "▁the", "▁a", "s", "ing", "▁x"]


def sentencepiece(fallback: bool = True) -> Tokenizer:
    """Words that begin with their space, which the first of a text loses, and 256 tokens of one byte."""
    tokens = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *WORDS]
    inner = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, [], unk_token="<unk>"))
    steps = [decoders.Replace("▁", " "), *([decoders.ByteFallback()] if fallback else []), decoders.Fuse()]
    inner.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    inner.add_special_tokens([AddedToken("<end>", special=True)])
    return inner


def wordpiece() -> Tokenizer:
    tokens = ["[UNK]", "the", "##s", "a", ".", ",", "do", "n't", "'", "##ing"]
    inner = Tokenizer(models.WordPiece({token: number for number, token in enumerate(tokens)}, unk_token="[UNK]"))
    inner.decoder = decoders.WordPiece(cleanup=True)
    return inner


def suffixed() -> Tokenizer:
    """The end of a word is marked, and turns to a space unless the text ends there."""
    inner = Tokenizer(models.BPE({"a</w>": 0, "b": 1, "c</w>": 2}, []))
    inner.decoder = decoders.BPEDecoder(suffix="</w>")
    return inner


KINDS = {
    "bytes": byte_level(),
    "sentencepiece": sentencepiece(),
    "words": wordpiece(),
    "suffixes": suffixed(),
}


@dataclass
class Counting:
    """A decoder that counts the tokens it was given."""

    inner: Tokenizer
    tokens: int = 0

    def __call__(self, ids: Sequence[int]) -> str:
        self.tokens += len(ids)
        return str(self.inner.decode(list(ids)))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_the_pieces_of_any_ids_join_to_their_text(kind: str, data: st.DataObject) -> None:
    inner = KINDS[kind]
    ids = data.draw(st.lists(st.integers(0, inner.get_vocab_size() - 1), max_size=120))
    pieces = split_pieces(inner.decode, ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == inner.decode(ids)


@given(text=st.text(max_size=150))
@settings(max_examples=150, deadline=None)
def test_a_character_belongs_to_the_token_that_completes_it(text: str) -> None:
    inner = KINDS["bytes"]
    pieces = split_pieces(inner.decode, inner.encode(text).ids)
    expected = [piece for letter in text for piece in [""] * (len(letter.encode()) - 1) + [letter]]
    if "\ufffd" not in text:
        assert list(pieces) == expected
    assert "".join(pieces) == text


def test_a_space_that_the_text_loses_is_no_piece_and_later_ones_are() -> None:
    inner = KINDS["sentencepiece"]
    the, a = (inner.token_to_id(word) for word in ("▁the", "▁a"))
    end = inner.token_to_id("<end>")
    assert split_pieces(inner.decode, [the, a, the]) == ("the", " a", " the")
    assert split_pieces(inner.decode, [end, the, end, a]) == ("", "the", "", " a")
    text = [a, the] * 200
    assert split_pieces(inner.decode, text) == ("a", *[" the", " a"] * 199, " the")


def test_a_stretch_of_special_tokens_longer_than_a_block_is_passed_over() -> None:
    inner = KINDS["sentencepiece"]
    the, end = inner.token_to_id("▁the"), inner.token_to_id("<end>")
    ids = [end] * 100 + [the] + [end] * 900 + [the]
    decode = Counting(inner)
    assert split_pieces(decode, ids) == ("",) * 100 + ("the",) + ("",) * 900 + (" the",)
    assert decode.tokens < 60 * len(ids)


@pytest.mark.parametrize("kind", ["bytes", "sentencepiece"])
def test_the_work_grows_with_the_text_and_not_with_its_square(kind: str) -> None:
    inner = KINDS[kind]
    ids = inner.encode(TEXT).ids if kind == "bytes" else [257 + number % len(WORDS) for number in range(99)]
    work = []
    for repeats in (10, 100):
        decode = Counting(inner)
        split_pieces(decode, ids * repeats)
        work.append(decode.tokens / (len(ids) * repeats))
    assert work[1] < 1.2 * work[0] < 60


def test_text_that_no_block_tells_is_still_told_exactly() -> None:
    """A decoder whose first character depends on the last: no part of a text says anything of the whole."""

    def decode(ids: Sequence[int]) -> str:
        return f"{sum(ids)}:" + "".join(map(str, ids)) if ids else ""

    ids = list(range(200))
    assert "".join(split_pieces(decode, ids)) == decode(ids)


def test_no_ids_have_no_pieces_and_no_tokenizer_gives_empty_ones() -> None:
    assert split_pieces(KINDS["bytes"].decode, []) == ()
    assert Engine(toy(8)).pieces([1, 2, 3]) == ("", "", "")


def test_the_engines_pieces_join_to_the_answers_text(opt_pair: tuple[Path, Path]) -> None:
    engine = Engine.load(*opt_pair)
    answer = engine.generate([5, 9, 2], temperature=1.0, max_new_tokens=40)
    assert "".join(engine.pieces(answer.tokens)) == answer.text == engine.decode(answer.tokens)
    assert len(engine.pieces(answer.tokens)) == len(answer.tokens)
