"""The model pair that ships with the package, and all that made it: world, tokenizer, training, evaluation."""

from pathlib import Path

__all__ = ["draft_directory", "target_directory"]

_WEIGHTS = Path(__file__).parent / "weights"


def target_directory() -> Path:
    """Return the directory of the built-in target."""
    return _WEIGHTS / "target"


def draft_directory() -> Path:
    """Return the directory of the built-in draft."""
    return _WEIGHTS / "draft"
