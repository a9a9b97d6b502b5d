"""Where prompts come from, and what a suite needs to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from draftwise.tasks.prompts import Suite


@dataclass(frozen=True, slots=True)
class SuiteSource:
    """Where prompts come from.

    Attributes:
        name: a suite's name, or ``hf:NAME[:CONFIG][:SPLIT]``; if left out, "file" where there is data and "builtin"
            where there is none.
        data: the user's file, for the suites that need one.
        prompt_field: for a data set of the Hub: the column that holds the prompt, or a template with columns in braces.
        reference_field: for a data set of the Hub: the column that holds the right answer, or a template.
        skip_bad_lines: pass over lines or rows that are no prompt, rather than refuse them.
    """

    name: str = ""
    data: str | None = None
    prompt_field: str | None = None
    reference_field: str | None = None
    skip_bad_lines: bool = False

    def __post_init__(self) -> None:
        """Settle the name."""
        if not self.name:
            object.__setattr__(self, "name", "builtin" if self.data is None else "file")


@dataclass(frozen=True, slots=True)
class SuiteEntry:
    """What is known of a suite before it is read.

    Attributes:
        load: reads it; told the most prompts of a subtask that are of use, it need not read more.
        about: what it is, in a few words.
        data: what the file is that it needs; empty where it takes none.
        takes_fields: whether the user says which columns hold the prompt and the reference.
        is_shipped: whether it needs nothing but its name: no file, no network.
        is_endless: whether it may hold more than anyone wants to read, and gives no more than is asked for.
    """

    load: Callable[[SuiteSource, int | None], Suite]
    about: str
    data: str = ""
    takes_fields: bool = False
    is_shipped: bool = False
    is_endless: bool = False

    @property
    def needs(self) -> str:
        """What must be given to read it, in words; empty where nothing must."""
        if self.data:
            return f"--data with {self.data}"
        if self.takes_fields:
            return "--prompt-field and, to be scored, --reference-field"
        return "" if self.is_shipped else "the network, or the data set in its cache"
