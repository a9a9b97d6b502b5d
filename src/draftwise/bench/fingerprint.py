"""What a number depends on beside the models: the machine, its state, and the code that ran.

A run writes these facts down before and after, and ``draftwise env`` shows them without a run. Nothing here tells who
owns the machine or what it is called.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from draftwise.bench.bandwidth import read_bandwidth

PACKAGES = ("torch", "tokenizers", "safetensors", "numpy", "scipy", "msgspec")
EXTRAS = ("transformers", "datasets", "huggingface_hub", "jinja2")
GPU_FACTS = (
    "name",
    "driver_version",
    "memory.total",
    "clocks.sm",
    "clocks.mem",
    "clocks.max.sm",
    "clocks.max.mem",
    "power.limit",
    "temperature.gpu",
)
"""What nvidia-smi is asked for."""

MIB = 1 << 20
CPU_SIZES = (8 * MIB, 32 * MIB, 256 * MIB)
CUDA_SIZES = (*CPU_SIZES, 1024 * MIB)
"""Buffers whose read is timed: small ones lie in a cache, as the weights of a small model do."""

CPUINFO = Path("/proc/cpuinfo")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
CHECKOUT = Path(__file__).parents[3]


def machine_facts(device: str = "cpu") -> dict[str, Any]:
    """What doesn't change while a run takes place, as JSON values; ``threads`` is torch's number at the moment."""
    import torch

    return {
        "revision": code_revision(CHECKOUT),
        "versions": _versions(device),
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "caches": caches(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def machine_state(device: str = "cpu") -> dict[str, Any]:
    """What may change while a run takes place: the load, and a GPU's clocks and temperature."""
    return {"load_average": list(os.getloadavg()), "gpu": _gpu(device)}


def fingerprint(device: str = "cpu") -> dict[str, Any]:
    """Everything about this machine that a run would write down, without models; takes a few seconds.

    ``bandwidth`` gives the bytes a second that are read from buffers of several sizes in bytes, and ``backends`` what
    would run the built-in target in each dtype, and why others were passed over.

    Raises:
        DraftwiseError: the device is not there.
    """
    from draftwise.models.loading import present_device

    place = str(present_device(device))
    sizes = CUDA_SIZES if place.startswith("cuda") else CPU_SIZES
    return {
        **machine_facts(place),
        **machine_state(place),
        "device": place,
        "can_pin": can_pin(),
        "backends": _backends(place),
        "bandwidth": {str(size): read_bandwidth(size, place) for size in sizes},
    }


def _backends(device: str) -> dict[str, dict[str, Any]]:
    import torch

    from draftwise.builtin import target_directory
    from draftwise.models.backends import choose
    from draftwise.models.families import own_architecture
    from draftwise.models.files import read_json

    shape, place = own_architecture(read_json(target_directory() / "config.json")), torch.device(device)
    choices = {dtype: choose("auto", shape, dtype, place) for dtype in ("float32", "bfloat16", "int8")}
    return {
        dtype: {"backend": choice.name, "passed_over": list(choice.passed_over)} for dtype, choice in choices.items()
    }


def code_revision(root: Path) -> dict[str, Any] | None:
    """The commit that the code stands at and whether files differ from it; None outside a git checkout."""
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
    changes = _output("git", "-C", str(root), "status", "--porcelain")
    return {"commit": commit, "dirty": bool(changes)} if commit else None


def cpu_model() -> str:
    """The processor's name. Linux says it at once; elsewhere it takes a second to find out."""
    try:
        lines = CPUINFO.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(filter(None, named), "") or _slow_cpu_model()


def _slow_cpu_model() -> str:
    import cpuinfo

    return str(cpuinfo.get_cpu_info().get("brand_raw") or platform.processor() or platform.machine())


def caches() -> dict[str, int]:
    """Bytes of the caches that one core sees, such as ``{"L1d": 49152, "L2": 2097152}``; empty where unknown."""
    found: dict[str, int] = {}
    for place in sorted(CACHES.glob("index*")):
        try:
            level, kind, size = ((place / name).read_text("ascii").strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        letter = {"Data": "d", "Instruction": "i"}.get(kind, "")
        if size.endswith("K") and size[:-1].isdigit():
            found[f"L{level}{letter}"] = 1024 * int(size[:-1])
    return found


def can_pin() -> bool:
    """Whether this process may keep its threads on cores of its choice."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    try:
        os.sched_setaffinity(0, os.sched_getaffinity(0))
    except OSError:
        return False
    return True


def _versions(device: str) -> dict[str, str]:
    import torch

    from draftwise import __version__

    cuda = {"cuda": str(torch.version.cuda)} if device.startswith("cuda") else {}
    return {
        "draftwise": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        **{name: metadata.version(name) for name in EXTRAS if name in sys.modules},
        **cuda,
    }


def available_cores() -> int:
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
