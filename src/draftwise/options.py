"""Every decoding setting, declared once: the command line, the stored record and the checks follow from here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from draftwise.errors import DraftwiseError, unknown_name

T = TypeVar("T")

Check = Callable[[Any], str | None]
"""Says what a value should have been, or None where it is as it should be."""


def option(default: Any, help: str, check: Check | None = None) -> Any:
    """A dataclass field that carries its help text and its check; a tuple or a scalar default, never a list."""
    return field(default=default, metadata={"help": help, "check": check})


def validate(settings: Any) -> None:
    """Run the check of every field of a dataclass made with ``option``.

    Raises:
        DraftwiseError: naming the first field that fails, its value and what it should have been.
    """
    for item in fields(settings):
        check = item.metadata.get("check")
        value = getattr(settings, item.name)
        wanted = check(value) if check is not None else None
        if wanted is not None:
            raise DraftwiseError(f"{item.name} must be {wanted}, not {value!r}")


def from_keywords(kind: type[T], keywords: Mapping[str, Any]) -> T:
    """Build a settings dataclass from keyword arguments, refusing names that it doesn't have."""
    known = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    for name in keywords:
        if name not in known:
            raise unknown_name("option", name, known)
    return kind(**keywords)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def whole(low: int, high: int | None = None) -> Check:
    """A check for integers from ``low`` to ``high``, both included."""
    text = f"a whole number of at least {low}" if high is None else f"a whole number from {low} to {high}"
    return lambda value: None if _is_whole(value) and low <= value and (high is None or value <= high) else text


def number(low: float, high: float = math.inf, *, above: bool = False, finite: bool = False) -> Check:
    """A check for numbers from ``low`` (left out where ``above``) to ``high``, never NaN."""
    text = f"a number {'above' if above else 'of at least'} {low:g}"
    if high < math.inf:
        text += f" and at most {high:g}"
    elif finite:
        text += " and finite"

    def check(value: Any) -> str | None:
        inside = _is_number(value) and (value > low if above else value >= low) and value <= high
        return None if inside and not (finite and math.isinf(value)) else text

    return check


def _ids(value: Any) -> str | None:
    right = isinstance(value, tuple) and all(_is_whole(item) and item >= 0 for item in value)
    return None if right else "token ids, whole numbers of at least 0"


def flag(value: Any) -> str | None:
    """A check for truth values."""
    return None if isinstance(value, bool) else "True or False"


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """How one call decodes. The defaults are the seed experiment's settings."""

    gamma: int = option(4, "Tokens that the draft model proposes a round (sps).", whole(1))
    fallback_threshold: float = option(
        0.6, "Stop drafting where the draft's largest probability is below this (bild).", number(0, 1)
    )
    rollback_threshold: float = option(
        3.0, "Roll back a drafted token whose -log p under the target is above this (bild).", number(0)
    )
    max_draft_tokens: int = option(10, "The most tokens drafted a round (bild).", whole(1))
    temperature: float = option(0.0, "Sampling temperature; 0 decodes greedily.", number(0, finite=True))
    top_k: int = option(0, "Sample among the k most likely tokens; 0 switches this off.", whole(0))
    top_p: float = option(
        1.0, "Sample among the most likely tokens that hold this share of the probability.", number(0, 1, above=True)
    )
    max_new_tokens: int = option(30, "The most new tokens an answer may have.", whole(1))
    ignore_eos: bool = option(False, "Go on to the length limit, past the end-of-text token.", flag)
    stop_token_ids: tuple[int, ...] = option((), "A token id that ends the answer.", _ids)
    prefill_chunk: int = option(512, "Prompt tokens a pass while the caches are filled.", whole(1))
    seed: int = option(0, "Seed of the random numbers.", whole(0, 2**63 - 1))

    def __post_init__(self) -> None:
        """Check every value."""
        validate(self)
