"""What a pair of models will need of each device, worked out from their configs before any weight is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch

from draftwise.errors import DraftwiseError

_ROUND = 16  # tokens of a round whose logits are kept: the drafted ones and one more
_LOGITS = 3  # float32 copies of them: logits, probabilities, and the draft's own

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60  # version 1 writes a number near 2^63 for no limit

_NAMES = {
    "layers": ("num_decoder_layers", "decoder_layers", "num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "heads": ("decoder_attention_heads", "num_attention_heads", "n_head", "num_heads", "n_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads"),
    "head_dim": ("head_dim", "d_kv"),
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "wide": ("intermediate_size", "ffn_dim", "decoder_ffn_dim", "n_inner", "d_ff", "ffn_hidden_size"),
    "vocabulary": ("vocab_size",),
}
"""Under which names the configs of transformers hold a size, the most particular first."""


class ModelMemory(NamedTuple):
    """The bytes that one model takes on its device."""

    role: str
    device: str
    weights: int
    cache: int
    workspace: int


class Footprint(NamedTuple):
    """The bytes of all weights as they lie in memory, of one cached value, and of one that is computed with."""

    weights: int
    cached: int
    computed: int


class _Sizes(NamedTuple):
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    wide: int
    vocabulary: int


def model_memory(
    role: str,
    config: Mapping[str, Any],
    footprint: Footprint,
    device: str,
    *,
    batch: int,
    context: int,
    chunk: int,
) -> ModelMemory:
    """Estimate what a model takes; a size that config.json doesn't give under a usual name counts as 0.

    Args:
        role: target or draft, for messages.
        config: config.json's object.
        footprint: what its weights and values take.
        device: where the model goes.
        batch: B, rows decoded together.
        context: the longest context in tokens; for an encoder–decoder, of each side.
        chunk: T, the most tokens of a pass.
    """
    sizes = _sizes(config)
    two_sided = bool(config.get("is_encoder_decoder"))
    row = 2 * sizes.layers * sizes.kv_heads * sizes.head_dim * footprint.cached  # a token's keys and values
    entries = context + 1 + (context if two_sided else 0)  # its own, the spare one, and the encoder's
    tokens = batch * (context if two_sided else min(chunk, context))  # an encoder reads its prompt in one pass
    activations = tokens * (6 * sizes.hidden + 2 * sizes.wide + 3 * sizes.heads * sizes.head_dim) * footprint.computed
    # Scores of one layer and the mask that all share; a fused kernel keeps no scores, soft-capping and others do.
    scores = tokens * (sizes.heads + 1) * context * footprint.computed
    logits = _LOGITS * batch * min(_ROUND, context) * sizes.vocabulary * 4
    return ModelMemory(role, device, footprint.weights, batch * row * entries, activations + scores + logits)


def free_bytes(device: str) -> int:
    """What can be allocated on a device now: cpu within the limits of its control groups, or cuda[:N]."""
    if torch.device(device).type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    available: int = psutil.virtual_memory().available
    return min([available, *_cgroup_rooms(_CGROUPS, _OWN_CGROUPS)])


def check_memory(models: Sequence[ModelMemory]) -> str:
    """The one line that says what each device has to hold and has free.

    Raises:
        DraftwiseError: where a device lacks the room.
    """
    devices: dict[str, list[ModelMemory]] = {}
    for model in models:
        devices.setdefault("cuda:0" if model.device == "cuda" else model.device, []).append(model)
    return "memory on " + "; ".join(_check_device(device, parts) for device, parts in devices.items())


def _check_device(device: str, models: Sequence[ModelMemory]) -> str:
    weights = sum(model.weights for model in models)
    caches = sum(model.cache for model in models)
    workspace = sum(model.workspace for model in models)
    needed, free = weights + caches + workspace, free_bytes(device)
    if needed > free:
        each = " and ".join(f"{model.role} {_text(model.weights)}" for model in models)
        raise DraftwiseError(
            f"not enough memory on {device}: weights {_text(weights)} ({each}), caches {_text(caches)} and workspace "
            f"{_text(workspace)} make {_text(needed)}, but {_text(free)} is free; choose a smaller dtype, "
            "a shorter context, a smaller batch, or another device"
        )
    parts = f"weights {_text(weights)}, caches {_text(caches)}, workspace {_text(workspace)}"
    return f"{device}: {parts}; {_text(free)} free"


def _text(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _sizes(config: Mapping[str, Any]) -> _Sizes:
    nested = config.get("text_config")
    given = {**config, **nested} if isinstance(nested, Mapping) else config
    found = {size: _number(given, names) for size, names in _NAMES.items()}
    if given.get("multi_query") is True and not given.get("new_decoder_architecture"):
        found["kv_heads"] = 1  # Falcon's and StarCoder's way to say it
    found["kv_heads"] = found["kv_heads"] or found["heads"]
    found["head_dim"] = found["head_dim"] or found["hidden"] // max(found["heads"], 1)
    found["wide"] = found["wide"] or 4 * found["hidden"]
    return _Sizes(**found)


def _number(config: Mapping[str, Any], names: Sequence[str]) -> int:
    values = (config.get(name) for name in names)
    return next((value for value in values if type(value) is int and value > 0), 0)


def _cgroup_rooms(root: Path, own: Path) -> list[int]:
    """The bytes left under each memory limit that holds for this process, of both versions of control groups."""
    rooms = []
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            files, base = ("memory.max", "memory.current", "inactive_file"), root
        elif "memory" in controllers.split(","):
            files, base = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"), root / "memory"
        else:
            continue
        group = base / path.lstrip("/")
        for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(base))):
            rooms += _room(folder, *files)
    return rooms


def _room(folder: Path, limit_file: str, usage_file: str, reclaimable: str) -> list[int]:
    """What one group has left: its limit, less what is used and can't be reclaimed; empty where it has no limit."""
    limit, usage = _read(folder / limit_file).strip(), _read(folder / usage_file).strip()
    if not (limit.isdigit() and usage.isdigit()) or int(limit) >= _UNLIMITED:
        return []
    entries = dict(line.split(maxsplit=1) for line in _read(folder / "memory.stat").splitlines() if " " in line)
    return [max(0, int(limit) - int(usage) + int(entries.get(reclaimable, 0)))]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # not Linux, or not shared with this container
        return ""
