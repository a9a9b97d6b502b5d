"""Runs on the disk with known speeds, as a bench leaves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from draftwise.bench import BenchSettings
from draftwise.bench.cells import describe_cells, make_cells
from draftwise.bench.records import CHECKS, RECORDS, Check, RoundTrace, Sample, to_line
from draftwise.bench.store import RunStore
from draftwise.options import DecodingOptions
from draftwise.tasks import Prompt, suite_sha256

MS = 1_000_000
IDS = tuple(range(20))
SPEEDS = {"as": 1.0, "sps": 1.6}
PROMPTS = [Prompt(f"{subtask}-{n}", subtask, ("Where?",)) for subtask in ("qa", "rag") for n in range(6)]


def store_run(
    directory: Path,
    speeds: Mapping[str, float] = SPEEDS,
    *,
    seed: int = 0,
    prompts: Sequence[Prompt] = PROMPTS,
    samples: int | None = None,
    environment: Mapping[str, Any] | None = None,
    noise: float = 0.01,
    **decoding: Any,
) -> Path:
    """Write a run of three sessions and two repeats; ``samples`` are what is left of it when it is killed."""
    settings = BenchSettings(
        methods=tuple(speeds), repeats=2, sessions=3, decoding=DecodingOptions(max_new_tokens=30, **decoding)
    )
    facts = {
        "methods": describe_cells(make_cells(settings)),
        "prompts_sha256": suite_sha256(prompts),
        "cpu": "A processor",
        "cores": 4,
        "sha256": {"target": {"model.safetensors": "a" * 64}, "drafts": {}},
        **(environment or {}),
    }
    lines = [to_line(item) for item in timed(speeds, prompts, seed, noise)]
    header = {"settings": settings.to_record(), "environment": facts, "planned": len(lines)}
    directory.mkdir(parents=True)
    RunStore.create(directory, header, prompts, {(prompt.id, 0): [1, 2, 3] for prompt in prompts})
    (directory / CHECKS).write_bytes(b"".join(to_line(checked(prompt, name)) for prompt in prompts for name in speeds))
    (directory / RECORDS).write_bytes(b"".join(lines[:samples]))
    return directory


def timed(speeds: Mapping[str, float], prompts: Sequence[Prompt], seed: int, noise: float) -> list[Sample]:
    """Every prompt is as hard in all runs; noise is each run's own."""
    hard, rng = np.random.default_rng(7).normal(0, 0.3, len(prompts)), np.random.default_rng(seed)
    samples: list[Sample] = []
    for session in range(3):
        for repeat in range(2):
            for place, prompt in enumerate(prompts):
                for label, speed in speeds.items():
                    decode = int(100 * MS / speed * float(np.exp(hard[place] + rng.normal(0, noise))))
                    samples.append(timed_one(prompt, label, session, repeat, len(samples), decode))
    return samples


def timed_one(prompt: Prompt, label: str, session: int, repeat: int, order: int, decode: int) -> Sample:
    return Sample(
        prompt_id=prompt.id,
        subtask=prompt.subtask,
        turn=0,
        method=label,
        session=session,
        repeat=repeat,
        order=order,
        seed=0,
        prompt_tokens=3,
        new_tokens=IDS,
        passes=len(IDS),
        compilations=0,
        prefill_ns=2 * MS,
        ttft_ns=3 * MS,
        decode_ns=decode,
        total_ns=decode + 2 * MS,
    )


def checked(prompt: Prompt, label: str) -> Check:
    return Check(
        prompt_id=prompt.id,
        subtask=prompt.subtask,
        turn=0,
        method=label,
        seed=0,
        prompt_tokens=3,
        new_tokens=IDS,
        pieces=(" word",) * len(IDS),
        finish_reason="length",
        text=" word" * len(IDS),
        score=None,
        rounds=tuple(RoundTrace((), 0, 1, 0, 0, MS, 0, 0, 0) for _ in IDS),
    )
