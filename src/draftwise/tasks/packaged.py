"""The suites that ship with the package, as JSON lines under ``data``."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

from draftwise.errors import DraftwiseError
from draftwise.tasks.prompts import Prompt
from draftwise.tasks.rows import parse_prompts


def read_builtin() -> list[Prompt]:
    """Questions about the small world that the built-in pair of models knows."""
    return _parse("the builtin suite", [_data() / "builtin.jsonl"])


def read_standard() -> list[Prompt]:
    """English prompts of the lengths that real use has, one file a subtask."""
    folder = _data() / "standard"
    files = sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else []
    return _parse("the standard suite", [file for file in files if file.name.endswith(".jsonl")])


def _data() -> Traversable:
    return resources.files("draftwise.tasks") / "data"


def _parse(name: str, files: list[Traversable]) -> list[Prompt]:
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    if not texts:
        raise DraftwiseError(f"the prompts of {name} are missing from this installation; install draftwise again")
    return parse_prompts([line for text in texts for line in text.split("\n")], name)
