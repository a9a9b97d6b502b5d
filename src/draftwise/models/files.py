"""A Hugging Face-format directory on disk and the JSON files in it, each defect one clear line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from draftwise.errors import DraftwiseError


def existing_directory(path: str | Path) -> Path:
    """The path, known to be a directory with something in it.

    Raises:
        DraftwiseError: where it is missing, a file, unreadable, or empty.
    """
    if os.path.isdir(path):
        try:
            empty = not any(Path(path).iterdir())
        except OSError as error:
            raise DraftwiseError(f"can't read {str(path)!r}: {error.strerror}; give one that you may read") from None
        if empty:
            raise DraftwiseError(f"{str(path)!r} is an empty directory; give one that holds a model")
        return Path(path)
    if os.path.exists(path):
        raise DraftwiseError(f"{str(path)!r} is a file; give the directory that holds config.json")
    raise DraftwiseError(f"no directory {str(path)!r}; give a local one that holds config.json")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        DraftwiseError: where the file is missing, unreadable, not JSON or not an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DraftwiseError(f"no {path.name} in {str(path.parent)!r}; give a whole model directory") from None
    except OSError as error:
        raise DraftwiseError(f"can't read {str(path)!r}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise DraftwiseError(f"{str(path)!r} isn't valid JSON; fetch the file again") from None
    if not isinstance(value, dict):
        raise DraftwiseError(f"{str(path)!r} must hold a JSON object, not {type(value).__name__}")
    return value


def optional_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty where there is no such file.

    Raises:
        DraftwiseError: where the file is of no use.
    """
    return read_json(path) if path.exists() else {}
