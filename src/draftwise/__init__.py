"""draftwise: speculative decoding that is measured honestly."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from draftwise.engine import Engine, Generation
    from draftwise.errors import DraftwiseError

__version__ = "0.1.0"

__all__ = ["DraftwiseError", "Engine", "Generation", "__version__"]


def __getattr__(name: str) -> object:
    """Import the public names where they are first used, so that importing draftwise does not import torch."""
    if name in ("Engine", "Generation"):
        from draftwise import engine

        return getattr(engine, name)
    if name == "DraftwiseError":
        from draftwise.errors import DraftwiseError

        return DraftwiseError
    raise AttributeError(f"module 'draftwise' has no attribute {name!r}")
