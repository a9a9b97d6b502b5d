"""Where a run took place: machine, versions, models, data and the speed of memory, so that a number can be judged."""

from __future__ import annotations

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
from draftwise.bench.cells import describe_cells, make_cells
from draftwise.bench.inputs import Inputs
from draftwise.bench.models import Models
from draftwise.bench.settings import BenchSettings
from draftwise.tasks import Prompt, Suite, suite_sha256

if TYPE_CHECKING:
    from draftwise.engine import Engine

PACKAGES = ("torch", "tokenizers", "safetensors", "numpy")
EXTRAS = ("transformers", "datasets", "huggingface_hub", "jinja2")
GPU_FACTS = ("name", "driver_version", "clocks.sm", "clocks.mem", "power.limit", "temperature.gpu")


def describe_environment(models: Models, settings: BenchSettings, suite: Suite) -> dict[str, Any]:
    """The facts of a run that are known before its prompts are encoded, as JSON values.

    ``bytes_per_pass`` is what the target reads of its weights for one pass, and ``bandwidth`` the bytes a second that
    this machine reads from a buffer of that size, None where a pass reads nothing. ``methods`` says what each cell is,
    by label.
    """
    import torch

    own = dict(models.facts)
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
        **own,
        "sha256": {**own.get("sha256", {}), "suite": suite_sha256(suite.prompts)},
        "skipped_lines": list(suite.skipped),
        "methods": describe_cells(make_cells(settings)),
        **_state(models.first),
    }


def describe_prompts(
    models: Models, settings: BenchSettings, prompts: Sequence[Prompt], inputs: Inputs
) -> dict[str, Any]:
    """What became of the prompts: how many are measured, and what was left out, cut or is too long for a draft."""
    return {
        "prompts": len(prompts),
        "prompts_sha256": suite_sha256(prompts),
        "chat_template": models.first.chat_template is not None,
        "refused": [item._asdict() for item in inputs.refused],
        "truncated": [item._asdict() for item in inputs.truncated],
        "outgrown": _outgrown(models, settings, inputs),
    }


def _outgrown(models: Models, settings: BenchSettings, inputs: Inputs) -> dict[str, dict[str, int]]:
    """For each draft with a shorter context than some prompt and its answer: how many prompts, and its context.

    An encoder-decoder's context holds no prompt, so nothing of it is said here.
    """
    found: dict[str, dict[str, int]] = {}
    for name, engine in models.engines.items():
        draft = engine.draft
        if name is None or draft is None or draft.start_token_id is not None:
            continue
        room = draft.max_positions - settings.decoding.max_new_tokens
        long = {task[0] for task, ids in inputs.ids.items() if len(ids) > room}
        if long:
            found[name] = {"prompts": len(long), "context": draft.max_positions}
    return found


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


def _versions() -> dict[str, str]:
    from draftwise import __version__

    return {
        "draftwise": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        **{name: metadata.version(name) for name in EXTRAS if name in sys.modules},
    }


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
