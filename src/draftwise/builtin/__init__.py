"""The model pair that ships with the package, and all that made it: world, tokenizer, training, evaluation, growth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from draftwise.builtin.grown import Grown

__all__ = ["BUILTIN", "draft_directory", "grow", "target_directory"]

BUILTIN = "builtin"
"""What the pair is called where a model is asked for."""

_WEIGHTS = Path(__file__).parent / "weights"


def target_directory() -> Path:
    """Return the directory of the built-in target."""
    return _WEIGHTS / "target"


def draft_directory() -> Path:
    """Return the directory of the built-in draft."""
    return _WEIGHTS / "draft"


def grow(
    source: str | Path,
    output: str | Path,
    *,
    like: str | None = None,
    dtype: str | None = None,
    **sizes: int | str | None,
) -> Grown:
    """Write a model of other sizes that gives the outputs of a small one (Net2Net, Chen et al. 2016).

    Args:
        source: "builtin" or "builtin-target", "builtin-draft", or the directory of an OPT model.
        output: a directory that doesn't exist yet.
        like: a published OPT model whose sizes to take, such as "facebook/opt-6.7b"; else the small one's own.
        dtype: "bfloat16" or "float32", of the matrices written; the small model's own unless given.
        **sizes: ``hidden``, ``layers``, ``heads``, ``ffn`` and ``vocab``, over those of ``like``; a number, or "×k" for
            k times the small model's.

    Raises:
        DraftwiseError: the source can't grow to the sizes, or the output can't be written.
    """
    from draftwise.builtin.grown import open_source, write_grown
    from draftwise.builtin.shapes import wanted_shape

    shipped = {BUILTIN: target_directory, f"{BUILTIN}-target": target_directory, f"{BUILTIN}-draft": draft_directory}
    directory = shipped[str(source)]() if str(source) in shipped else Path(source)
    small = open_source(directory)
    return write_grown(small, wanted_shape(small.shape, like, **sizes), Path(output), dtype)
