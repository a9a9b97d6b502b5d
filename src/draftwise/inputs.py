"""What a caller may hand to the engine, turned into ids and checked settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import Any

from draftwise.errors import DraftwiseError
from draftwise.models.chat import ChatTemplate
from draftwise.models.tokenizer import Tokenizer
from draftwise.options import DecodingOptions, from_keywords

Prompt = str | Sequence[int]
"""A text, or token ids."""


def split_prompts(prompt: Prompt | Sequence[Prompt]) -> tuple[list[Prompt], bool]:
    """The prompts of a call, and whether it was a single one rather than a list.

    Raises:
        DraftwiseError: it is neither a text nor a list.
    """
    if isinstance(prompt, str):
        return [prompt], True
    items = _listed(prompt, "a prompt must be a text, token ids, or a list of those")
    if any(isinstance(item, str | Iterable) and not _is_scalar(item) for item in items):
        return items, False
    return [items], True


def read_ids(prompt: object) -> list[int]:
    """A prompt's token ids as plain whole numbers.

    Raises:
        DraftwiseError: they aren't whole numbers.
    """
    return _wholes(_listed(prompt, "token ids must be whole numbers"), "token ids must be whole numbers")


def read_settings(
    options: Mapping[str, Any], seed: int | Sequence[int], count: int
) -> tuple[DecodingOptions, list[int]]:
    """The settings of a call, checked, and the seed of each of its ``count`` prompts.

    Raises:
        DraftwiseError: an unknown option, a value out of range, or another number of seeds than one or ``count``.
    """
    given = dict(options)
    if "stop_token_ids" in given:
        text = "stop_token_ids must be token ids, whole numbers of at least 0"
        given["stop_token_ids"] = tuple(_wholes(_listed(given["stop_token_ids"], text), text))
    several = isinstance(seed, Sequence) and not isinstance(seed, str)
    seeds: list[Any] = list(seed) if isinstance(seed, Sequence) and several else [seed]
    if several and len(seeds) != count:
        raise DraftwiseError(f"seed: {len(seeds)} seeds were given for {count} prompts; give one, or one for each")
    checked = [from_keywords(DecodingOptions, {**given, "seed": item}) for item in seeds]
    return checked[0], [item.seed for item in checked] * (1 if several else count)


def encode_text(tokenizer: Tokenizer | None, text: str) -> list[int]:
    """The ids of a text, with what the tokenizer puts in front.

    Raises:
        DraftwiseError: there is no tokenizer.
    """
    if tokenizer is None:
        raise DraftwiseError("no tokenizer lies beside the target's weights; give the prompt as token ids")
    return tokenizer.encode(text)


def encode_chat(
    tokenizer: Tokenizer | None, template: ChatTemplate | None, messages: Sequence[Mapping[str, str]]
) -> list[int]:
    """The ids of a conversation in a chat template's form, ready for the next answer.

    Raises:
        DraftwiseError: there is no template or no tokenizer, or the template can't render the messages.
    """
    if template is None or tokenizer is None:
        raise DraftwiseError("the target's tokenizer has no chat template; give one, or the prompt as plain text")
    return tokenizer.encode(template.render(messages), special_tokens=False)


def encode_prompt(tokenizer: Tokenizer | None, template: ChatTemplate | None, text: str) -> list[int]:
    """The ids of a prompt: the user's turn of a conversation where there is a chat template, else the bare text.

    Raises:
        DraftwiseError: there is no tokenizer, or the template fails.
    """
    if template is None:
        return encode_text(tokenizer, text)
    return encode_chat(tokenizer, template, [{"role": "user", "content": text}])


def _is_scalar(value: Any) -> bool:
    """Whether a value is one number, be it Python's, NumPy's or torch's own."""
    return hasattr(value, "__index__") and getattr(value, "ndim", 0) == 0


def _listed(value: Any, wanted: str) -> list[Any]:
    try:
        if isinstance(value, str | bytes | Mapping):
            raise TypeError
        return list(value)
    except TypeError:
        raise _wrong(wanted, value) from None


def _wholes(values: list[Any], wanted: str) -> list[int]:
    try:
        return [index(value) for value in values]
    except (TypeError, ValueError):
        raise _wrong(wanted, values) from None


def _wrong(wanted: str, value: object) -> DraftwiseError:
    return DraftwiseError(f"{wanted}, not {' '.join(repr(value).split())}")
