"""Use of the transformers library without its chatter, and its absence in one line."""

from __future__ import annotations

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
            f"{str(directory)!r} needs the transformers library; install it with: "
            'pip install "draftwise[transformers]"'
        ) from None
    return transformers


@contextmanager
def quietly() -> Iterator[None]:
    """Silence transformers' log, progress bars and warnings for a while."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars
    from transformers.utils import logging

    level, bars, hub_bars = logging.get_verbosity(), logging.is_progress_bar_enabled(), not are_progress_bars_disabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.set_verbosity(logging.CRITICAL)
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if bars:  # which switches the Hub's on as well
                logging.enable_progress_bar()
            if not hub_bars:
                disable_progress_bars()


def first_line(error: Exception) -> str:
    """What an error of the library says, cut to a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
