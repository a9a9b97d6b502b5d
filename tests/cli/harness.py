"""Tiny random OPT directories, and how a command ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_opt import save_tiny_opt
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

VOCABULARY = 260  # the 256 bytes, the end of text, and three ids without a token


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refused_with(self, *words: str) -> None:
        """Assert one line of error that holds the words, exit code 2 and nothing on stdout."""
        assert (self.code, self.out) == (2, ""), self
        assert self.err.startswith("draftwise: error: ") and self.err.count("\n") == 1 and self.err.endswith("\n")
        for word in words:
            assert word in self.err, self.err


Run = Callable[..., Outcome]


def save_tokenizer(directory: Path, *, shifted: bool = False) -> None:
    """Every byte is a token; ``shifted`` gives the same tokens other ids."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if shifted:
        alphabet = alphabet[1:] + alphabet[:1]
    vocabulary = {token: index for index, token in enumerate([*alphabet, "</s>"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["</s>"])
    tokenizer.save(str(directory / "tokenizer.json"))


def save_opt(directory: Path, *, hidden: int = 16, seed: int = 0, positions: int = 4096) -> Path:
    """A random OPT checkpoint that reads and writes any text, byte by byte."""
    shape = {"hidden": hidden, "ffn": 2 * hidden, "max_position_embeddings": positions}
    save_tiny_opt(directory, seed=seed, vocab_size=VOCABULARY, tokenizer=False, eos_token_id=256, **shape)
    save_tokenizer(directory)
    return directory


@dataclass(frozen=True)
class Pair:
    """Two directories that go together."""

    target: Path
    draft: Path

    @property
    def options(self) -> tuple[str, ...]:
        """What a command needs to use the pair."""
        return ("--target", str(self.target), "--draft", str(self.draft))


def read(path: Path) -> dict[str, Any]:
    """A JSON file's object."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
