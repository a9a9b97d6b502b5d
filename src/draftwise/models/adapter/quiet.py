"""Use of the transformers library without its chatter, and its absence in one line."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from draftwise.errors import DraftwiseError


def transformers_library(directory: Path) -> Any:
    """The transformers module.

    Raises:
        DraftwiseError: it isn't installed.
    """
    try:
        import transformers
    except ImportError:
        raise DraftwiseError(
            f'{str(directory)!r} needs the transformers library; install it with: pip install "draftwise[transformers]"'
        ) from None
    return transformers


@contextmanager
def quietly() -> Iterator[None]:
    """Silence transformers' log, progress bars and warnings for a while."""
    import huggingface_hub.utils as hub
    from transformers.utils import logging as chatter

    level, bars = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    hub_bars = not hub.are_progress_bars_disabled()  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chatter.set_verbosity(logging.CRITICAL)
        chatter.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            chatter.set_verbosity(level)
            if bars:  # which switches the Hub's on as well
                chatter.enable_progress_bar()  # type: ignore[no-untyped-call]
            if not hub_bars:
                hub.disable_progress_bars()  # type: ignore[attr-defined]
