"""A Hugging Face-format directory on disk: its JSON files and safetensors, each defect one clear line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from draftwise.errors import DraftwiseError

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_FLOATS = ("F64", "F32", "F16", "BF16")


def existing_directory(path: str | Path) -> Path:
    """The path, known to be a directory with something in it.

    Raises:
        DraftwiseError: where it is missing, a file, or empty.
    """
    if os.path.isdir(path):
        if not any(Path(path).iterdir()):
            raise DraftwiseError(f"{str(path)!r} is an empty directory; give one that holds a model")
        return Path(path)
    if os.path.exists(path):
        raise DraftwiseError(f"{str(path)!r} is a file; give the directory that holds config.json")
    text = str(path)
    hub = not os.path.isabs(text) and not text.startswith(".") and text.count("/") <= 1
    hint = " (a Hugging Face Hub id can't be fetched yet: download it first)" if hub else ""
    raise DraftwiseError(f"no directory {text!r}; give a local one that holds config.json{hint}")


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


class Checkpoint:
    """The tensors of a directory, looked up by name, read one at a time straight to a dtype and device."""

    def __init__(self, directory: Path, dtype: torch.dtype, device: torch.device) -> None:
        """Open the weight files; the tensors stay on disk.

        Raises:
            DraftwiseError: where there are no weights, or a file of them is missing, truncated or corrupt.
        """
        self._directory = directory
        self._dtype = dtype
        self._device = device
        self._places: dict[str, tuple[Any, str]] = {}  # name → open file and the name in it
        for path in _weight_files(directory):
            try:
                file = safe_open(path, framework="pt")
                names: list[str] = file.keys()  # type: ignore[no-untyped-call]
                self._places.update((name, (file, name)) for name in names)
            except (SafetensorError, OSError) as error:
                raise DraftwiseError(f"can't read {str(path)!r} ({error}); fetch the file again") from None

    def without_prefixes(self, *prefixes: str) -> Checkpoint:
        """The same, after taking each prefix in turn off the names that have it."""
        for prefix in prefixes:
            self._places = {name.removeprefix(prefix): place for name, place in self._places.items()}
        return self

    def take(self, name: str, *shape: int) -> Tensor:
        """A fresh tensor with the named values; a name can be taken once.

        Raises:
            DraftwiseError: where it is missing, of another shape, or not of floating-point numbers.
        """
        if name not in self._places:
            raise DraftwiseError(f"no {name!r} in the weights of {str(self._directory)!r}; config.json asks for it")
        file, stored_name = self._places.pop(name)
        stored = file.get_slice(stored_name)
        if stored.get_shape() != list(shape):
            raise DraftwiseError(
                f"{stored_name!r} in {str(self._directory)!r} has shape {stored.get_shape()}, "
                f"but config.json asks for {list(shape)}"
            )
        if stored.get_dtype() not in _FLOATS:
            raise DraftwiseError(
                f"{stored_name!r} in {str(self._directory)!r} is stored as {stored.get_dtype()}; "
                f"give a checkpoint in one of {', '.join(_FLOATS)}"
            )
        try:  # A copy, never the mapped file itself: a file that changes later must not change the model.
            return torch.empty(shape, dtype=self._dtype, device=self._device).copy_(file.get_tensor(stored_name))
        except RuntimeError as error:  # torch's way of saying that memory ran out
            reason = str(error).splitlines()[0]
            raise DraftwiseError(
                f"can't put {stored_name!r} on {self._device} ({reason}); choose a smaller dtype or another device"
            ) from None

    def expect_none_left(self, prefix: str) -> None:
        """Raise a DraftwiseError where a tensor whose name starts with ``prefix`` was not taken."""
        for name, (_, stored_name) in self._places.items():
            if name.startswith(prefix):
                raise DraftwiseError(
                    f"{stored_name!r} in {str(self._directory)!r} has no place in the model that config.json describes"
                )


def _weight_files(directory: Path) -> list[Path]:
    if (directory / _SINGLE).exists():
        return [directory / _SINGLE]
    if not (directory / _INDEX).exists():
        pickled = next(directory.glob("*.bin"), None)
        hint = f"convert {pickled.name} to safetensors first" if pickled else f"{_SINGLE} or {_INDEX} is needed"
        raise DraftwiseError(f"no safetensors weights in {str(directory)!r}; {hint}")
    weight_map = read_json(directory / _INDEX).get("weight_map")
    names = weight_map.values() if isinstance(weight_map, dict) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise DraftwiseError(f"{str(directory / _INDEX)!r} has no weight_map from names to files; fetch it again")
    files = [directory / name for name in sorted(set(names))]
    for file in files:
        if not file.is_file():
            raise DraftwiseError(f"no {file.name!r} in {str(directory)!r}, which {_INDEX} names; fetch that shard")
    return files
