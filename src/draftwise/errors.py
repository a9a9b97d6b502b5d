"""The package's own error type: what was wrong, the value, and what to do about it, in one line."""

from __future__ import annotations

from collections.abc import Iterable


class DraftwiseError(ValueError):
    """Input that draftwise can't work with. Its text is one line meant for a person."""


class UnsupportedError(DraftwiseError):
    """A sound model with a switch that our own forward pass lacks; the adapter over transformers may know it."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> DraftwiseError:
    """An error for a name that isn't in a table, listing the names that are."""
    return DraftwiseError(f"unknown {kind} {name!r}; choose from: {', '.join(known)}")


def one_line(error: Exception, limit: int = 200) -> str:
    """What another library's error says, as a single line of bearable length."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= limit else f"{words[:limit]}…"


def not_numbers(dtype: object) -> DraftwiseError:
    """What is raised where a target's last logits are NaN, computed in ``dtype``."""
    return DraftwiseError(f"the target's logits are not numbers; {dtype} may be too narrow for this model")
