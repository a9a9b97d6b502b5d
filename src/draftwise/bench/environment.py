"""Where a run took place: machine, versions, models, data and the speed of memory, so that a number can be judged."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from draftwise.bench.bandwidth import read_bandwidth
from draftwise.bench.cells import describe_cells, make_cells
from draftwise.bench.fingerprint import machine_facts, machine_state
from draftwise.bench.inputs import Inputs
from draftwise.bench.models import Models
from draftwise.bench.settings import BenchSettings
from draftwise.tasks import Prompt, Suite, suite_sha256

if TYPE_CHECKING:
    from draftwise.engine import Engine


def describe_environment(models: Models, settings: BenchSettings, suite: Suite) -> dict[str, Any]:
    """The facts of a run that are known before its prompts are encoded, as JSON values.

    ``bytes_per_pass`` is what the target reads of its weights for one pass, ``draft_bytes_per_pass`` the same for each
    draft by name, and ``bandwidth`` the bytes a second that this machine reads from a buffer of the target's size, None
    where a pass reads nothing. ``stop_token_ids`` are the ids that end a text with these settings. ``methods`` says
    what each cell is, by label.
    """
    own = dict(models.facts)
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        **machine_facts(str(models.first.target.device)),
        **own,
        "sha256": {**own.get("sha256", {}), "suite": suite_sha256(suite.prompts)},
        "skipped_lines": list(suite.skipped),
        "methods": describe_cells(make_cells(settings)),
        "draft_bytes_per_pass": _draft_bytes(models),
        "stop_token_ids": models.first.end_ids(settings.decoding),
        **describe_end(models.first),
    }


def describe_end(engine: Engine) -> dict[str, Any]:
    """The facts that may change during a run: load, GPU clocks and temperature, the speed of memory."""
    size = engine.target.bytes_per_pass
    device = str(engine.target.device)
    return {
        **machine_state(device),
        "bytes_per_pass": size,
        "bandwidth": read_bandwidth(size, device) if size else None,
    }


def _draft_bytes(models: Models) -> dict[str, int]:
    engines = models.engines.items()
    return {name: engine.draft.bytes_per_pass for name, engine in engines if name is not None and engine.draft}


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
