"""The model pair that ships with the package, and all that made it: world, tokenizer, training, evaluation."""

from pathlib import Path

__all__ = ["BUILTIN", "draft_directory", "target_directory"]

BUILTIN = "builtin"
"""What the pair is called where a model is asked for."""

_WEIGHTS = Path(__file__).parent / "weights"


def target_directory() -> Path:
    """Return the directory of the built-in target."""
    return _WEIGHTS / "target"


def draft_directory() -> Path:
    """Return the directory of the built-in draft."""
    return _WEIGHTS / "draft"
