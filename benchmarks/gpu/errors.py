"""What a part says of an exception."""

from __future__ import annotations

from draftwise.errors import one_line


def describe(error: Exception) -> str:
    """Its kind and text, in a line."""
    return f"{type(error).__name__}: {one_line(error)}"
