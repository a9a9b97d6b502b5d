"""draftwise: speculative decoding that is measured honestly."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from draftwise.engine import Engine
    from draftwise.errors import DraftwiseError
    from draftwise.generation import Generation

__version__ = "0.1.0"

__all__ = ["DraftwiseError", "Engine", "Generation", "__version__"]


def __getattr__(name: str) -> object:
    """Import the public names where they are first used, so that importing draftwise does not import torch."""
    if name == "Engine":
        from draftwise.engine import Engine

        return Engine
    if name == "Generation":
        from draftwise.generation import Generation

        return Generation
    if name == "DraftwiseError":
        from draftwise.errors import DraftwiseError

        return DraftwiseError
    raise AttributeError(f"module 'draftwise' has no attribute {name!r}")
