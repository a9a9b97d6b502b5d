"""A grown model without a file: ``grown:facebook/opt-6.7b`` names it, and a tensor is grown when a reader asks for it.

It goes the way of every other model: the family's reader takes tensors by name from a checkpoint, one at a time, in the
type and on the device wanted, and the checkpoint makes them there out of the small model's. So the big model is in
memory once, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from draftwise.builtin.grown import DTYPES, Source, grown_config, open_source, stored_name
from draftwise.builtin.growth import Recipes, growth_recipes
from draftwise.builtin.shapes import SIZES, Shape, wanted_shape
from draftwise.errors import DraftwiseError, one_line, unknown_name
from draftwise.models.backends import choose
from draftwise.models.checkpoint import Checkpoint
from draftwise.models.families import own_architecture
from draftwise.models.loading import ModelSpec, OpenModel, open_model
from draftwise.models.shards import Shards, StoredTensor

GROWN = "grown:"
"""What the name of a model begins with that is grown when it is loaded."""

_FORM = f"give {GROWN}MODEL, {GROWN}SIZE=N or {GROWN}MODEL:SIZE=N, such as {GROWN}facebook/opt-6.7b"


class Growth(NamedTuple):
    """What a name asks for: the published model to be like, if any, and sizes as ``wanted_shape`` takes them."""

    like: str | None
    sizes: Mapping[str, str]


def is_grown(name: str) -> bool:
    """Whether a model's name asks for growth."""
    return name.startswith(GROWN)


def parse_growth(name: str) -> Growth:
    """Read ``grown:MODEL:SIZE=N:…``, of which the model or the sizes may be left out.

    Raises:
        DraftwiseError: neither is named, a size is unknown or named twice.
    """
    parts = name.removeprefix(GROWN).split(":")
    like = None if "=" in parts[0] else parts.pop(0)
    if like == "":
        raise DraftwiseError(f"{name!r} doesn't say what to grow to; {_FORM}")
    sizes: dict[str, str] = {}
    for part in parts:
        size, _, value = part.partition("=")
        if size not in SIZES:
            raise unknown_name(f"size in {name!r}:", size, SIZES)
        if size in sizes:
            raise DraftwiseError(f"{name!r} gives {size} twice; keep one")
        sizes[size] = value
    return Growth(like, sizes)


def open_grown(spec: ModelSpec, directory: Path) -> OpenModel:
    """Open the model that a grown name asks for; nothing is grown yet.

    Args:
        spec: with such a name.
        directory: the small model's; its tokenizer, template and stop ids are the grown one's.

    Raises:
        DraftwiseError: a name of no use, sizes out of the small model's reach, or a device or implementation of no use.
    """
    wanted = parse_growth(spec.name)
    if spec.revision is not None:
        raise DraftwiseError(f"{spec.name!r} has no revision {spec.revision!r}; leave the revision out")
    if spec.implementation == "transformers":
        raise DraftwiseError(
            f"{spec.name!r} is in no file that transformers could read; write one with draftwise grow, or choose "
            "the implementation own"
        )
    source = open_source(directory)
    shape = wanted_shape(source.shape, wanted.like, **wanted.sizes)
    config = grown_config(source, shape, spec.dtype)
    small = open_model(replace(spec, name=str(directory), backend="auto"))
    return replace(
        small,
        spec=spec,
        config=config,
        choice=choose(spec.backend, own_architecture(config), spec.dtype, small.device, exact=spec.exact),
        checkpoint=GrownCheckpoint(source, shape, small.checkpoint.dtype, small.device),
    )


class GrownCheckpoint(Checkpoint):
    """The tensors of a grown model, each of which comes into being when it is taken."""

    def __init__(self, source: Source, shape: Shape, dtype: torch.dtype, device: torch.device) -> None:
        """Say which tensors there will be; the small model's are read at the first one that is taken."""
        super().__init__(source.directory, dtype, device)
        self._shards: Shards = _Growing(source, shape, dtype, device)
        self._left = dict(self._shards.tensors)


class _Growing(Shards):
    """Stands where a checkpoint has its files, and grows what is read from them."""

    def __init__(self, source: Source, shape: Shape, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__(source.directory)
        self._source, self._shape, self._device = source, shape, device
        self._dtype = dtype if dtype in DTYPES.values() else torch.float32
        self._recipes: Recipes | None = None
        self.tensors = {
            name: StoredTensor(source.directory, name, size, stored_name(size, self._dtype))
            for name, size in shape.tensors().items()
        }

    def read(self, tensor: StoredTensor) -> Tensor:
        """A tensor's values, on the device.

        Raises:
            DraftwiseError: the device has no room for it.
        """
        if self._recipes is None:
            weights = {name: value.to(self._device) for name, value in self._source.weights().items()}
            self._recipes = growth_recipes(weights, self._source.shape, self._shape, self._dtype)
        try:
            return self._recipes[tensor.name]()
        except RuntimeError as error:  # torch's way of saying that memory ran out
            raise DraftwiseError(
                f"can't grow {tensor.name!r} on {self._device} ({one_line(error)}); choose fewer layers, a smaller "
                "dtype or another device"
            ) from None

    def close(self) -> None:
        """Let go of the small model's tensors as well."""
        self._recipes = None
        super().close()
