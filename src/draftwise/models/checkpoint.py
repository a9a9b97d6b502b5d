"""The tensors of a checkpoint, looked up by name and copied one by one to where they are wanted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from draftwise.errors import DraftwiseError, one_line
from draftwise.models.shards import FLOATS, Shards, StoredTensor


class Checkpoint:
    """The tensors of a directory, looked up by name, read one at a time straight to a dtype and device."""

    def __init__(self, directory: Path, dtype: torch.dtype, device: torch.device) -> None:
        """Read what the weight files say about their tensors; the values stay on disk.

        Raises:
            DraftwiseError: where there are no weights, or a file of them is missing, truncated, corrupt, or holds
                anything but plain tensors.
        """
        self.dtype = dtype
        self.device = device
        self._directory = directory
        self._shards = Shards(directory)
        self._left: dict[str, StoredTensor] = dict(self._shards.tensors)
        self._ignored: list[re.Pattern[str]] = []

    @property
    def elements(self) -> int:
        """How many floating-point values are stored; a matrix that is stored under two names counts twice."""
        return sum(tensor.elements for tensor in self._shards.tensors.values() if tensor.dtype in FLOATS)

    def without_prefixes(self, *prefixes: str) -> Checkpoint:
        """The same, after taking each prefix in turn off the names that have it.

        Raises:
            DraftwiseError: where two tensors would then have one name.
        """
        for prefix in prefixes:
            short: dict[str, StoredTensor] = {}
            for name, stored in self._left.items():
                if short.setdefault(name.removeprefix(prefix), stored) is not stored:
                    twin = short[name.removeprefix(prefix)].name
                    raise DraftwiseError(
                        f"{stored.name!r} and {twin!r} in {str(self._directory)!r} are the same tensor of a model; "
                        "remove one of them"
                    )
            self._left = short
        return self

    def has(self, name: str) -> bool:
        """Whether a tensor of that name is there to be taken."""
        return name in self._left

    def take(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """A fresh tensor with the named values, in the checkpoint's dtype or another; a name can be taken once.

        Raises:
            DraftwiseError: where it is missing, of another shape, not of floating-point numbers, or has no room.
        """
        stored = self._pop(name, shape)
        result = self._empty(stored, shape, dtype)
        self._copy(stored, result)
        return result

    def take_rows(
        self, names: Sequence[str], rows: Sequence[int], *rest: int, dtype: torch.dtype | None = None
    ) -> Tensor:
        """A fresh tensor with several named tensors, of ``rows[i]`` × ``rest`` each, one below the other.

        They are copied one by one, so that the peak is the result and one part.

        Raises:
            DraftwiseError: as ``take`` does.
        """
        parts = [self._pop(name, (count, *rest)) for name, count in zip(names, rows, strict=True)]
        result = self._empty(parts[0], (sum(rows), *rest), dtype)
        for stored, place in zip(parts, torch.split(result, list(rows)), strict=True):
            self._copy(stored, place)
        return result

    def ignore(self, *patterns: str) -> None:
        """Let tensors whose whole name, without its prefixes, matches one of the patterns stay behind."""
        self._ignored += [re.compile(pattern) for pattern in patterns]

    def expect_float_weights(self) -> None:
        """Check the types of all that is called a weight, for a reader that would cast whatever is stored.

        Raises:
            DraftwiseError: naming the first weight that isn't of floating-point numbers.
        """
        for name, stored in self._left.items():
            if name.endswith(".weight"):
                self._expect_float(stored)

    def expect_none_left(self) -> None:
        """Close the files.

        Raises:
            DraftwiseError: naming the first tensor that was neither taken nor ignored.
        """
        self._shards.close()
        for name, stored in self._left.items():
            if not any(pattern.fullmatch(name) for pattern in self._ignored):
                raise DraftwiseError(
                    f"{stored.name!r} in {str(self._directory)!r} has no place in the model that config.json describes"
                )

    def _pop(self, name: str, shape: tuple[int, ...]) -> StoredTensor:
        if name not in self._left:
            raise DraftwiseError(f"no {name!r} in the weights of {str(self._directory)!r}; config.json asks for it")
        stored = self._left.pop(name)
        if stored.shape != shape:
            where = f"{stored.name!r} in {str(self._directory)!r}"
            raise DraftwiseError(f"{where} has shape {list(stored.shape)}, but config.json asks for {list(shape)}")
        self._expect_float(stored)
        return stored

    def _expect_float(self, stored: StoredTensor) -> None:
        if stored.dtype not in FLOATS:
            raise DraftwiseError(
                f"{stored.name!r} in {str(self._directory)!r} is stored as {stored.dtype}; "
                f"give a checkpoint in one of {', '.join(FLOATS)}"
            )

    def _empty(self, stored: StoredTensor, shape: tuple[int, ...], dtype: torch.dtype | None) -> Tensor:
        try:
            return torch.empty(shape, dtype=dtype or self.dtype, device=self.device)
        except RuntimeError as error:  # torch's way of saying that memory ran out
            raise self._no_room(stored, error) from None

    def _copy(self, stored: StoredTensor, place: Tensor) -> None:
        """Copy the values: a file that changes later must not change the model."""
        values = self._shards.read(stored)
        try:
            place.copy_(values)
        except RuntimeError as error:
            raise self._no_room(stored, error) from None

    def _no_room(self, stored: StoredTensor, error: RuntimeError) -> DraftwiseError:
        return DraftwiseError(
            f"can't put {stored.name!r} on {self.device} ({one_line(error)}); choose a smaller dtype or another device"
        )
