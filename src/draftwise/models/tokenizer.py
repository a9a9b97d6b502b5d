"""The tokenizer beside a checkpoint: text to ids and back, and whether two of them mean the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import tokenizers

from draftwise.errors import DraftwiseError
from draftwise.models.checkpoint import existing_directory


class Tokenizer:
    """A tokenizer.json, without the truncation and padding that it may ask for."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        """Wrap a tokenizer; a prompt must never be cut or padded in silence."""
        inner.no_truncation()
        inner.no_padding()
        self._inner = inner

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return 1 + max(self.vocabulary().values(), default=-1)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with the special tokens that the tokenizer's own post-processor adds."""
        ids: list[int] = self._inner.encode(text).ids
        return ids

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of some ids."""
        text: str = self._inner.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return text

    def vocabulary(self) -> dict[str, int]:
        """Every token, added ones included, and its id."""
        vocabulary: dict[str, int] = self._inner.get_vocab(with_added_tokens=True)
        return vocabulary


def load_tokenizer(directory: str | Path) -> Tokenizer:
    """Load a directory's tokenizer.json.

    Raises:
        DraftwiseError: where the directory or the file is missing, or the file is corrupt.
    """
    path = existing_directory(directory) / "tokenizer.json"
    if not path.is_file():
        raise DraftwiseError(
            f"no tokenizer.json in {str(path.parent)!r}; write one with transformers: "
            "AutoTokenizer.from_pretrained(…).save_pretrained(…)"
        )
    try:
        return Tokenizer(tokenizers.Tokenizer.from_file(str(path)))
    except Exception as error:  # tokenizers raises bare Exception for everything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DraftwiseError(f"can't read {str(path)!r} ({reason}); fetch the file again") from None


def vocabulary_differences(first: Mapping[str, int], second: Mapping[str, int], limit: int = 3) -> list[str]:
    """Where two vocabularies give a token different ids, in words, lowest id first; empty where they are the same."""
    tokens = [token for token in {**first, **second} if first.get(token) != second.get(token)]
    tokens.sort(key=lambda token: (min(v[token] for v in (first, second) if token in v), token))
    lines = [f"{token!r} is {_id(first, token)} in one, {_id(second, token)} in the other" for token in tokens[:limit]]
    return lines + ([f"and {len(tokens) - limit} more"] if len(tokens) > limit else [])


def _id(vocabulary: Mapping[str, int], token: str) -> str:
    return str(vocabulary[token]) if token in vocabulary else "missing"
