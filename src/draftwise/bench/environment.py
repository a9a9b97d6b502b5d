"""Where a run took place: machine, versions, models, data and the speed of memory, so that a number can be judged."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from draftwise.bench.bandwidth import read_bandwidth
from draftwise.bench.settings import BenchSettings
from draftwise.tasks import Prompt, suite_sha256

if TYPE_CHECKING:
    from draftwise.engine import Engine

PACKAGES = ("torch", "tokenizers", "safetensors", "numpy")
MODEL_FILES = ("*.safetensors", "config.json", "tokenizer.json")
GPU_FACTS = ("name", "driver_version", "clocks.sm", "clocks.mem", "power.limit", "temperature.gpu")


def describe_environment(engine: Engine, settings: BenchSettings, prompts: Sequence[Prompt]) -> dict[str, Any]:
    """The facts of a run that are known before its first sample, as JSON values.

    ``bytes_per_pass`` is what the target reads of its weights for one pass, and ``bandwidth`` the bytes a second that
    this machine reads from a buffer of that size; both are None where the model doesn't say how much it reads.
    """
    import torch

    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "revision": code_revision(Path(__file__).parents[3]),
        "versions": _versions(),
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": _cores(),
        "threads": torch.get_num_threads(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "models": {"target": settings.target, "draft": settings.draft or _default_draft(engine)},
        "sha256": model_hashes(settings) | {"suite": suite_sha256(prompts)},
        "prompts": len(prompts),
        "methods": _methods(settings),
        **_state(engine),
    }


def describe_end(engine: Engine) -> dict[str, Any]:
    """The facts that may have changed during a run: load, GPU clocks and temperature, the speed of memory."""
    return _state(engine)


def _state(engine: Engine) -> dict[str, Any]:
    size = engine.target.bytes_per_pass
    device = str(engine.target.device)
    return {
        "load_average": list(os.getloadavg()),
        "gpu": _gpu(device),
        "bytes_per_pass": size,
        "bandwidth": read_bandwidth(size, device) if size else None,
    }


def code_revision(root: Path) -> dict[str, Any] | None:
    """The commit that the code stands at and whether files differ from it; None outside a git checkout."""
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
    changes = _output("git", "-C", str(root), "status", "--porcelain")
    return {"commit": commit, "dirty": bool(changes)} if commit else None


def model_hashes(settings: BenchSettings) -> dict[str, dict[str, str]]:
    """SHA-256 of each model's weights, config and tokenizer, file by file."""
    from draftwise.builtin import draft_directory, target_directory

    places = {"target": target_directory() if settings.target == "builtin" else Path(settings.target)}
    draft = settings.draft or ("builtin" if settings.target == "builtin" else None)
    if draft is not None:
        places["draft"] = draft_directory() if draft == "builtin" else Path(draft)
    return {role: directory_hashes(place) for role, place in places.items()}


def directory_hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of a model directory's files by name."""
    hashes: dict[str, str] = {}
    for path in sorted(path for pattern in MODEL_FILES for path in directory.glob(pattern)):
        with open(path, "rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _default_draft(engine: Engine) -> str | None:
    return "builtin" if engine.draft is not None else None


def _versions() -> dict[str, str]:
    from draftwise import __version__

    return {
        "draftwise": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }


def _methods(settings: BenchSettings) -> dict[str, dict[str, Any]]:
    from draftwise.methods import METHODS

    rows = [METHODS[name] for name in settings.methods]
    return {row.name: {"title": row.title, "lossless": row.lossless, "paper": row.paper} for row in rows}


def _cpu_model() -> str:
    import cpuinfo

    return str(cpuinfo.get_cpu_info().get("brand_raw") or platform.processor() or platform.machine())


def _cores() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpu(device: str) -> dict[str, str] | None:
    """What nvidia-smi says of the device, or at least its name; None on the CPU."""
    if not device.startswith("cuda"):
        return None
    import torch

    index = torch.device(device).index or 0
    card = str(torch.cuda.get_device_properties(index).uuid)
    line = _output("nvidia-smi", f"--id=GPU-{card}", f"--query-gpu={','.join(GPU_FACTS)}", "--format=csv,noheader")
    values = line.split(", ")
    if len(values) != len(GPU_FACTS):
        return {"name": torch.cuda.get_device_name(index)}
    return dict(zip(GPU_FACTS, values, strict=True))


def _output(*command: str) -> str:
    """What a program prints, or nothing where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
