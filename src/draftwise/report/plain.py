"""Texts that a model, a data file or a person wrote, made safe to print: they can't move the cursor."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def printable(text: str) -> str:
    """A text on one line; each run of control signs, marks of direction and lone surrogates is one space."""
    return _CONTROL.sub(" ", text)
