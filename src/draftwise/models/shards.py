"""The weight files of a directory: safetensors or PyTorch's own, whole or in shards, one of them open at a time.

A shard is mapped, not read, wherever its format allows, and dropped as soon as another one is needed, so that the host
holds at most the model and its largest shard. PyTorch's own files are pickles: they are read by torch's restricted
reader, which builds tensors and runs no code, and nothing else is ever unpickled.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from draftwise.errors import DraftwiseError, one_line
from draftwise.models.files import read_json

FLOATS = ("F64", "F32", "F16", "BF16")
"""The stored types that a model may be read from, under safetensors' names."""

_NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


class StoredTensor(NamedTuple):
    """Where a tensor lies, and what its file says about it; the values stay on disk."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def elements(self) -> int:
        """How many values it holds."""
        return math.prod(self.shape)


class _Shard(Protocol):
    """One open file."""

    def entries(self) -> Iterator[StoredTensor]:
        """Every tensor in the file."""

    def read(self, name: str) -> Tensor:
        """The values, on the host, mapped where the format allows."""


class _Safetensors:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = safe_open(path, framework="pt")

    def entries(self) -> Iterator[StoredTensor]:
        names: list[str] = self._file.keys()  # type: ignore[no-untyped-call]
        for name in names:
            stored = self._file.get_slice(name)  # type: ignore[no-untyped-call]
            yield StoredTensor(self._path, name, tuple(stored.get_shape()), stored.get_dtype())

    def read(self, name: str) -> Tensor:
        tensor: Tensor = self._file.get_tensor(name)  # type: ignore[no-untyped-call]
        return tensor


class _Pickled:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._tensors = _plain_tensors(path, torch.load(path, map_location="cpu", weights_only=True, mmap=_maps(path)))

    def entries(self) -> Iterator[StoredTensor]:
        for name, tensor in self._tensors.items():
            dtype = _NAMES.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
            yield StoredTensor(self._path, name, tuple(tensor.shape), dtype)

    def read(self, name: str) -> Tensor:
        return self._tensors[name].detach()


class _Kind(NamedTuple):
    single: str
    names: str
    open: Callable[[Path], _Shard]


KINDS = (
    _Kind("model.safetensors", "model.safetensors.index.json", _Safetensors),
    _Kind("pytorch_model.bin", "pytorch_model.bin.index.json", _Pickled),
)
"""What a directory or a repository may hold, the better first."""


class Shards:
    """The weight files of a directory, of which at most one is open."""

    def __init__(self, directory: Path) -> None:
        """Read what the files say about their tensors.

        Raises:
            DraftwiseError: where there are no weights, or a file of them is missing, truncated, corrupt, or holds
                anything but plain tensors.
        """
        self._kind, files = _weight_files(directory)
        self._path: Path | None = None
        self._shard: _Shard | None = None
        self.tensors = {entry.name: entry for path in files for entry in self._entries(path)}

    def read(self, tensor: StoredTensor) -> Tensor:
        """A tensor's values on the host; copy them, since they may be the mapped file itself.

        Raises:
            DraftwiseError: where the file has gone or changed since its names were read.
        """
        shard = self._open(tensor.path)
        try:
            return shard.read(tensor.name)
        except (SafetensorError, OSError, KeyError) as error:
            raise _unreadable(tensor.path, error) from None

    def close(self) -> None:
        """Let go of the file that is open, if any; the next read opens one again."""
        self._path = self._shard = None

    def _entries(self, path: Path) -> list[StoredTensor]:
        return list(self._open(path).entries())

    def _open(self, path: Path) -> _Shard:
        if self._shard is None or path != self._path:
            self.close()
            try:
                self._shard = self._kind.open(path)
            except DraftwiseError:
                raise
            except Exception as error:  # a corrupt pickle makes torch raise whatever its bytes happen to ask for
                raise _unreadable(path, error) from None
            self._path = path
        return self._shard


def _unreadable(path: Path, error: Exception) -> DraftwiseError:
    text = one_line(error, limit=2000)
    called = re.search(r"GLOBAL (\S+) (was not|whose)", text)
    if called:
        return DraftwiseError(
            f"{str(path)!r} would call {called[1][:80]} when it is read, and no code of a file is ever run; "
            "give its weights as safetensors, or as a plain dictionary of tensors"
        )
    reason = "not a file of plain tensors" if "Weights only load failed" in text else text[:150]
    return DraftwiseError(f"can't read {str(path)!r} ({reason}); fetch the file again")


def _maps(path: Path) -> bool:
    """Whether a PyTorch file can be mapped: a zip archive, as since torch 1.6, with nothing compressed in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def _plain_tensors(path: Path, loaded: object) -> dict[str, Tensor]:
    if not isinstance(loaded, dict) or not loaded:
        raise DraftwiseError(
            f"{str(path)!r} holds no tensors by name ({type(loaded).__name__}); give its weights alone"
        )
    for name, value in loaded.items():
        if not isinstance(name, str) or not _plain(value):
            what = f"{type(value).__name__} at {name!r}"
            raise DraftwiseError(f"{str(path)!r} holds more than plain tensors ({what:.80}); give its weights alone")
    return loaded


def _plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized


def expect_weight_files(directory: Path) -> None:
    """Look for the weight files without opening them.

    Raises:
        DraftwiseError: where there are none, or one that an index names is missing.
    """
    _weight_files(directory)


def _weight_files(directory: Path) -> tuple[_Kind, list[Path]]:
    for kind in KINDS:
        if (directory / kind.single).exists():
            return kind, [directory / kind.single]
        if (directory / kind.names).exists():
            return kind, _indexed_files(directory, kind.names)
    wanted = ", ".join(name for kind in KINDS for name in (kind.single, kind.names))
    raise DraftwiseError(f"no weights in {str(directory)!r}; one of these is needed: {wanted}")


def _indexed_files(directory: Path, index: str) -> list[Path]:
    weight_map = read_json(directory / index).get("weight_map")
    names = weight_map.values() if isinstance(weight_map, dict) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise DraftwiseError(f"{str(directory / index)!r} has no weight_map from names to files; fetch it again")
    files = [directory / name for name in sorted(set(names))]
    for file in files:
        if file.parent != directory:
            raise DraftwiseError(f"{str(directory / index)!r} names {file.name!r} outside its own directory")
        if not file.is_file():
            raise DraftwiseError(f"no {file.name!r} in {str(directory)!r}, which {index} names; fetch that shard")
    return files
