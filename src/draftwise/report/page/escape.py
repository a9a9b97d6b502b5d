"""What a model or a data file wrote, made safe to stand in a page: it is always text and never markup.

Jinja escapes what the templates print. What scripts read stands in a JSON block, in which nothing can end the block.
What no HTML file can hold, or what would hide or reorder its neighbours, is written as a visible sign.
"""

from __future__ import annotations

import json
import re
from typing import Any

_IN_A_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def json_block(value: Any) -> str:
    """A value as JSON that no HTML parser can mistake for markup and every encoding can hold; NaN is refused."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: _IN_A_SCRIPT.get(found[0]) or f"\\u{ord(found[0]):04x}", text)


def visible(text: str) -> str:
    """A text whose control characters, lone surrogates and marks of direction are replaced by signs for them."""
    return _UNWRITABLE.sub(lambda found: _sign(ord(found[0])), text)


def _sign(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\u27e8U+{code:04X}\u27e9"
