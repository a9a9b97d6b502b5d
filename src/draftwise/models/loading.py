"""From a Hugging Face-format directory to a model that decodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from draftwise.errors import DraftwiseError, unknown_name
from draftwise.models.checkpoint import Checkpoint, existing_directory, read_json
from draftwise.models.opt import load_opt
from draftwise.models.protocol import CausalLM

_FAMILIES: dict[str, Callable[[Mapping[str, Any], Checkpoint, tuple[int, ...]], CausalLM]] = {
    "opt": load_opt,
}

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


def load_model(directory: str | Path, *, dtype: str = "float32", device: str = "cpu") -> CausalLM:
    """Load a model from config.json and its safetensors, sharded or not.

    Args:
        directory: a local directory in the Hugging Face format.
        dtype: what to compute in, whatever the file stores: float32, bfloat16, float16 or float64.
        device: cpu, cuda or cuda:N.

    Raises:
        DraftwiseError: where the directory, a file in it, the dtype or the device is of no use.
    """
    if dtype not in _DTYPES:
        raise unknown_name("dtype", dtype, _DTYPES)
    place = _present_device(device)
    path = existing_directory(directory)
    config = read_json(path / "config.json")
    family = config.get("model_type")
    if not isinstance(family, str) or family not in _FAMILIES:
        raise unknown_name(f"model_type in {str(path / 'config.json')!r}", family, _FAMILIES)
    return _FAMILIES[family](config, Checkpoint(path, _DTYPES[dtype], place), _eos_token_ids(path, config))


def _present_device(name: str) -> torch.device:
    cards = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    device = f"cuda:{int(name[5:] or 0)}" if re.fullmatch(r"cuda(:\d+)?", name) else name
    if device not in ["cpu", *cards]:
        raise DraftwiseError(f"no device {name!r} on this machine; available: {', '.join(['cpu', *cards])}")
    return torch.device(device)


def _eos_token_ids(path: Path, config: Mapping[str, Any]) -> tuple[int, ...]:
    """The ids of generation_config.json, where it names any, before config.json's."""
    source, value = "config.json", config.get("eos_token_id")
    if (path / "generation_config.json").exists():
        overriding = read_json(path / "generation_config.json").get("eos_token_id")
        if overriding is not None:
            source, value = "generation_config.json", overriding
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(type(item) is int and item >= 0 for item in ids):
        where = str(path / source)
        raise DraftwiseError(f"{where!r}: eos_token_id must be a token id, a list of them or null, not {value!r}")
    return tuple(ids)
