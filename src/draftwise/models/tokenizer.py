"""The tokenizer beside a checkpoint: text to ids and back, and whether two of them mean the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import tokenizers
from tokenizers import decoders, pre_tokenizers

from draftwise.errors import DraftwiseError, one_line
from draftwise.models.files import existing_directory, optional_json

_WHOLE = "tokenizer.json"
_PARTS = (("vocab.json", "merges.txt"), ("spiece.model",), ("tokenizer.model",))
_SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


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

    def encode(self, text: str, special_tokens: bool = True) -> list[int]:
        """The ids of a text, with the special tokens that the tokenizer's own post-processor adds."""
        ids: list[int] = self._inner.encode(text, add_special_tokens=special_tokens).ids
        return ids

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of some ids."""
        text: str = self._inner.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return text

    def vocabulary(self) -> dict[str, int]:
        """Every token, added ones included, and its id."""
        vocabulary: dict[str, int] = self._inner.get_vocab(with_added_tokens=True)
        return vocabulary


def has_tokenizer(directory: str | Path) -> bool:
    """Whether a directory holds the files of a tokenizer, of whatever kind."""
    return any(all(Path(directory, name).is_file() for name in names) for names in ((_WHOLE,), *_PARTS))


def special_tokens(directory: Path) -> dict[str, str]:
    """The texts of bos_token and so on, by tokenizer_config.json before special_tokens_map.json.

    Raises:
        DraftwiseError: where one of these files is corrupt.
    """
    config = optional_json(directory / "tokenizer_config.json")
    given = optional_json(directory / "special_tokens_map.json")
    given |= {name: value for name, value in config.items() if value is not None}
    texts = {name: value.get("content") if isinstance(value, dict) else value for name, value in given.items()}
    return {name: text for name, text in texts.items() if name in _SPECIAL_TOKENS and isinstance(text, str)}


def load_tokenizer(directory: str | Path) -> Tokenizer:
    """Load a directory's tokenizer.json, or build one out of the older files through transformers.

    Raises:
        DraftwiseError: where the directory or the files are missing or corrupt, or a package that reads them is.
    """
    path = existing_directory(directory)
    if (path / _WHOLE).is_file():
        return Tokenizer(_as_transformers_reads_it(path, _read(path / _WHOLE)))
    if not has_tokenizer(path):
        kinds = ", or ".join(" and ".join(names) for names in _PARTS)
        raise DraftwiseError(f"no {_WHOLE} in {str(path)!r}, nor {kinds}; give a directory that has its tokenizer")
    return Tokenizer(_built(path))


def _read(path: Path) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception for everything
        raise DraftwiseError(f"can't read {str(path)!r} ({one_line(error)}); fetch the file again") from None


def _built(path: Path) -> tokenizers.Tokenizer:
    """The tokenizer that transformers makes of older files; no code of the directory runs."""
    _expect_packages(path)
    from transformers import AutoTokenizer

    try:
        whole = AutoTokenizer.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # each tokenizer's own code raises what it likes for files that it can't use
        raise DraftwiseError(
            f"can't build a tokenizer from the files in {str(path)!r} ({one_line(error)}); fetch them again, "
            f"or give a {_WHOLE}"
        ) from None
    inner = getattr(whole, "backend_tokenizer", None)
    if not isinstance(inner, tokenizers.Tokenizer):
        raise DraftwiseError(
            f"the tokenizer in {str(path)!r} ({type(whole).__name__}) has no {_WHOLE} form; choose another model"
        )
    return inner


def _expect_packages(path: Path) -> None:
    """Name what has to be installed: transformers blames a missing sentencepiece on other things."""
    wanted = {"transformers": 'pip install "draftwise[transformers]"'}
    if not (path / "vocab.json").is_file():
        wanted |= {name: "pip install sentencepiece protobuf" for name in ("sentencepiece", "google.protobuf")}
    for name, command in wanted.items():
        try:
            import_module(name)
        except ImportError:
            raise DraftwiseError(
                f"{str(path)!r} has no {_WHOLE}, and building one takes the package {name}; run: {command}"
            ) from None


def _as_transformers_reads_it(path: Path, inner: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """The tokenizer of a file, with what transformers 5 changes in it when it loads the file.

    A special token that only tokenizer_config.json declares counts as one. LlamaTokenizer puts its own way of marking
    spaces in place of that of files from before version 5, which marked another one after each special token.
    """
    config, model = (optional_json(path / name) for name in ("tokenizer_config.json", "config.json"))
    known = {token.content for token in inner.get_added_tokens_decoder().values()}
    declared = [token for token in special_tokens(path).values() if inner.token_to_id(token) is not None]
    inner.add_special_tokens([token for token in declared if token not in known])
    kind = config.get("tokenizer_class") or model.get("tokenizer_class")
    if kind in ("LlamaTokenizer", "LlamaTokenizerFast") and model.get("model_type", "llama") == "llama":
        normalizer = repr(inner.normalizer)
        if "Prepend" in normalizer or "Metaspace" in repr(inner.pre_tokenizer):
            _mark_spaces(inner, prefix=config.get("add_prefix_space"), legacy=bool(config.get("legacy", False)))
    return inner


def _mark_spaces(inner: tokenizers.Tokenizer, prefix: object, legacy: bool) -> None:
    prefixed = prefix is None or bool(prefix)
    scheme = ("always" if legacy else "first") if prefixed else "never"
    inner.normalizer = None
    inner.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=False)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    inner.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefixed else steps)


def vocabulary_differences(first: Mapping[str, int], second: Mapping[str, int], limit: int = 3) -> list[str]:
    """Where two vocabularies give a token different ids, in words, lowest id first; empty where they are the same."""
    tokens = [token for token in {**first, **second} if first.get(token) != second.get(token)]
    tokens.sort(key=lambda token: (min(v[token] for v in (first, second) if token in v), token))
    lines = [f"{token!r} is {_id(first, token)} in one, {_id(second, token)} in the other" for token in tokens[:limit]]
    return lines + ([f"and {len(tokens) - limit} more"] if len(tokens) > limit else [])


def _id(vocabulary: Mapping[str, int], token: str) -> str:
    return str(vocabulary[token]) if token in vocabulary else "missing"
