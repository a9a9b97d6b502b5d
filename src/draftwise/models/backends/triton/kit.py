"""Triton, which may not be installed and has no types, in one place."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

triton: Any = import_module("triton")
tl: Any = import_module("triton.language")

OPTIONS = {"enable_fp_fusion": True}
"""Of every kernel: the compiler's default changes from one release of Triton to another."""


def kernel(*numbers: str) -> Callable[[Callable[..., Any]], Any]:
    """Make a function a kernel; no other program is made of it for other values of those arguments."""
    made: Callable[[Callable[..., Any]], Any] = triton.jit(do_not_specialize=list(numbers))
    return made
