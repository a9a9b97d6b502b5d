"""A grown model as a Hugging Face directory, written tensor by tensor: no more than one is ever in memory."""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from draftwise.builtin.growth import grown_tensors
from draftwise.builtin.shapes import PREFIX, Shape, shape_of
from draftwise.errors import DraftwiseError, unknown_name
from draftwise.models.checkpoint import Checkpoint
from draftwise.models.files import existing_directory, read_json

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
SHARD_BYTES = 2 * 10**9
_NAMES = {torch.bfloat16: "BF16", torch.float32: "F32"}
_SPARE_BYTES = 64 * 2**20  # left free on the disk
_COPIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json",
           "vocab.json", "merges.txt", "chat_template.jinja", "LICENSE")  # fmt: skip


class Grown(NamedTuple):
    """What was written: where, how many parameters, how many bytes of weights, in which type."""

    directory: Path
    parameters: int
    weight_bytes: int
    dtype: str


class Source(NamedTuple):
    """A small model that can grow: where it lies, its config.json's object and sizes."""

    directory: Path
    config: dict[str, Any]
    shape: Shape

    @property
    def dtype(self) -> str:
        """What its weights are stored in, where a grown model's can be; else float32."""
        stored = self.config.get("dtype") or self.config.get("torch_dtype")
        return stored if stored in DTYPES else "float32"

    def weights(self) -> dict[str, Tensor]:
        """Its tensors in float32.

        Raises:
            DraftwiseError: they don't fit its config.json.
        """
        stored = Checkpoint(self.directory, torch.float32, torch.device("cpu"))
        checkpoint = stored.without_prefixes("model.", "decoder.")
        checkpoint.ignore("version", r"lm_head\.weight")
        tensors = {
            name: checkpoint.take(name.removeprefix(PREFIX), *shape) for name, shape in self.shape.tensors().items()
        }
        checkpoint.expect_none_left()
        return tensors


def open_source(directory: Path) -> Source:
    """Read what a directory says of its model.

    Raises:
        DraftwiseError: there is none, or of a form that can't grow.
    """
    config = read_json(existing_directory(directory) / "config.json")
    return Source(directory, config, shape_of(config, str(directory)))


def write_grown(source: Source, shape: Shape, output: Path, dtype: str | None = None) -> Grown:
    """Grow a model into a new directory; it stands under its name only when all of it is written.

    Args:
        source: the small model.
        shape: the sizes to grow to.
        output: must not exist.
        dtype: of the matrices, a key of ``DTYPES``; the small model's own unless given.

    Raises:
        DraftwiseError: the directory exists, the disk lacks room, the type is unknown, or the source is of no use.
    """
    dtype = dtype or source.dtype
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    if output.exists() or output.is_symlink():
        raise DraftwiseError(f"{str(output)!r} exists; give a directory that doesn't")
    total = sum(_bytes(size, dtype) for size in shape.tensors().values())
    _check_disk(output, total)
    weights = source.weights()
    partial = output.with_name(f"{output.name}.partial")
    try:
        partial.mkdir(parents=True)
    except FileExistsError:
        raise DraftwiseError(f"{str(partial)!r}, left by another growth, exists; remove it first") from None
    try:
        write_weights(partial, shape, grown_tensors(weights, source.shape, shape, DTYPES[dtype]), dtype)
        (partial / "config.json").write_text(json.dumps(grown_config(source, shape, dtype), indent=2) + "\n", "utf-8")
        for name in _COPIED:
            if (source.directory / name).exists():
                shutil.copyfile(source.directory / name, partial / name)
        partial.rename(output)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Grown(output, shape.parameters, total, dtype)


def grown_config(source: Source, shape: Shape, dtype: str) -> dict[str, Any]:
    """The object of a grown model's config.json."""
    sizes = {
        "hidden_size": shape.hidden,
        "word_embed_proj_dim": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "ffn_dim": shape.ffn,
        "vocab_size": shape.vocab,
        "max_position_embeddings": shape.positions,
    }
    return {key: value for key, value in source.config.items() if key != "torch_dtype"} | sizes | {"dtype": dtype}


def stored_type(size: tuple[int, ...], dtype: torch.dtype) -> torch.dtype:
    """The type of a grown tensor of that size: ``dtype`` for matrices, float32 for vectors."""
    return torch.float32 if len(size) == 1 else dtype


def stored_name(size: tuple[int, ...], dtype: torch.dtype) -> str:
    """The same as a safetensors file calls it."""
    return _NAMES[stored_type(size, dtype)]


def _bytes(size: tuple[int, ...], dtype: str) -> int:
    return math.prod(size) * stored_type(size, DTYPES[dtype]).itemsize


def _check_disk(output: Path, total: int) -> None:
    place = next(parent for parent in output.absolute().parents if parent.exists())
    free = shutil.disk_usage(place).free
    if free < total + _SPARE_BYTES:
        raise DraftwiseError(
            f"the weights take {total / 1e9:.1f} GB and {str(place)!r} has {free / 1e9:.1f} GB free; "
            "choose another place, a smaller model, or fewer layers"
        )


def write_weights(
    directory: Path, shape: Shape, tensors: Iterator[tuple[str, Tensor]], dtype: str, limit: int = SHARD_BYTES
) -> None:
    """Write tensors as they come into safetensors files of at most ``limit`` bytes, or one tensor."""
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    filled = 0
    for name, size in shape.tensors().items():
        if shards[-1] and filled + _bytes(size, dtype) > limit:
            shards.append({})
            filled = 0
        shards[-1][name] = size
        filled += _bytes(size, dtype)
    count = len(shards)
    names = [f"model-{place:05d}-of-{count:05d}.safetensors" for place in range(1, count + 1)]
    if count == 1:
        names = ["model.safetensors"]
    for file, shard in zip(names, shards, strict=True):
        _write_shard(directory / file, shard, tensors, dtype)
    if count > 1:
        total = sum(_bytes(size, dtype) for size in shape.tensors().values())
        places = {name: file for file, shard in zip(names, shards, strict=True) for name in shard}
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def _write_shard(
    path: Path, shard: dict[str, tuple[int, ...]], tensors: Iterator[tuple[str, Tensor]], dtype: str
) -> None:
    """One file: the length of its header, the header, and the values of each tensor after those of the one before."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, size in shard.items():
        start, end = end, end + _bytes(size, dtype)
        header[name] = {"dtype": stored_name(size, DTYPES[dtype]), "shape": list(size), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for expected, size in shard.items():
            name, tensor = next(tensors)
            assert (name, tuple(tensor.shape), tensor.dtype) == (expected, size, stored_type(size, DTYPES[dtype]))
            file.write(tensor.contiguous().view(torch.uint8).numpy().data)
