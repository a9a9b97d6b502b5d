"""Runs to show: checks and samples from a simulation of drafting, and figures with the summary's keys."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from draftwise.bench.records import Check, RoundTrace
from draftwise.tasks import Prompt

SUBTASKS = ("multi-turn", "translation", "summarization", "qa", "math_reasoning", "rag", "law analytics", "grammar")
WORDS = (
    "the court held that a river near Ulm was crossed by seven engineers who wrote down each price in euros before "
    "noon and so the answer is twelve while every train to Mainz left late because of snow"
).split()
STOP = 2


class Profile(NamedTuple):
    """How a made-up cell behaves: chance that a guess stands, most guesses a round, its speed against plain."""

    method: str
    title: str
    lossless: bool
    alpha: float
    most: int
    speed: float


AS = Profile("as", "AS", True, 0.0, 0, 1.0)
FLOOR = Profile("as*", "AS*", True, 0.0, 0, 1.001)
SPS = Profile("sps", "SPS", True, 0.72, 4, 1.36)
BILD = Profile("bild", "BiLD", False, 0.81, 10, 1.62)
USUAL = {"as": AS, "as*": FLOOR, "sps": SPS, "bild": BILD}


def sweep(gammas: Sequence[int] = (1, 2, 3, 4, 6, 8), thresholds: Sequence[float] = (0.3, 0.6, 0.9)) -> dict[str, Profile]:
    """Many cells with long labels."""
    cells = {"as": AS, "as*": FLOOR}
    for gamma in gammas:
        cells[f"sps gamma={gamma}"] = Profile("sps", f"SPS γ={gamma}", True, 0.72, gamma, 1.1 + 0.07 * gamma)
    for fallback in thresholds:
        for rollback in (2, 3, 5, 8):
            label = f"bild fallback_threshold={fallback} rollback_threshold={rollback}"
            title = f"BiLD fallback_threshold={fallback} rollback_threshold={rollback}"
            cells[label] = Profile("bild", title, False, 0.75 + 0.02 * rollback, 10, 1.2 + 0.05 * rollback)
    return cells


@dataclass(frozen=True)
class Shape:
    """What a made-up run looks like."""

    cells: dict[str, Profile] = field(default_factory=lambda: dict(USUAL))
    subtasks: Sequence[str] = SUBTASKS
    prompts: int = 20
    repeats: int = 3
    tokens: int = 30
    texts: Sequence[str] = ()  # taken as answers' pieces, and as prompts, in turn
    seed: int = 5
    costs: bool = True


def prompts_of(shape: Shape) -> list[Prompt]:
    rng = random.Random(shape.seed)
    found = []
    for subtask in shape.subtasks:
        for number in range(shape.prompts):
            text = " ".join(rng.choices(WORDS, k=24))
            if shape.texts:
                text = shape.texts[len(found) % len(shape.texts)]
            found.append(Prompt(f"{subtask.replace(' ', '-')}-{number:03d}", subtask, (text,), ("right",)))
    return found


def rounds_of(profile: Profile, count: int, rng: random.Random) -> tuple[RoundTrace, ...]:
    """Rounds that emit ``count`` tokens together."""
    rounds: list[RoundTrace] = []
    while count:
        drafted = min(profile.most, count) if profile.lossless else min(rng.randint(0, profile.most), count)
        accepted = next((i for i in range(drafted) if rng.random() > profile.alpha), drafted)
        emitted = min(accepted + 1, count)
        accepted = min(accepted, emitted)
        draft = tuple(rng.randrange(3, 3 + len(WORDS)) for _ in range(drafted))
        rounds.append(RoundTrace(draft, accepted, emitted, drafted + 1 if drafted else 0, 210_000 * drafted, 900_000,
                                 60_000 if drafted else 0, 40_000, 15_000))
        count -= emitted
    return tuple(rounds)


def check_groups(shape: Shape, prompts: Sequence[Prompt]) -> Iterator[list[Check]]:
    """The checks of each task, those of lossy cells now and then with another text."""
    for place, prompt in enumerate(prompts):
        rng = random.Random(f"{shape.seed}/{prompt.id}")
        ids = [rng.randrange(3, 3 + len(WORDS)) for _ in range(rng.randint(4, shape.tokens - 1))] + [STOP]
        group = []
        for label, profile in shape.cells.items():
            own = list(ids)
            if not profile.lossless and rng.random() < 0.3:
                cut = rng.randrange(len(ids) - 1)
                own[cut] = 3 + (own[cut] - 2) % len(WORDS)
            pieces = [f" {WORDS[i - 3]}" if i != STOP else "" for i in own]
            if shape.texts:
                pieces[0] = shape.texts[place % len(shape.texts)]
            group.append(
                Check(
                    prompt_id=prompt.id, subtask=prompt.subtask, turn=0, method=label, seed=1, prompt_tokens=31,
                    new_tokens=tuple(own), pieces=tuple(pieces), finish_reason="eos", text="".join(pieces),
                    score=float(own == ids), rounds=rounds_of(profile, len(own), rng),
                )
            )
        yield group


def environment_of(shape: Shape) -> dict[str, Any]:
    return {
        "time": "2026-11-20T09:30:00+00:00",
        "command": "draftwise bench --limit 20",
        "revision": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "versions": {"draftwise": "0.4.0", "python": "3.11.9", "torch": "2.13.0"},
        "platform": "Linux-6.1-x86_64", "cpu": "Example CPU @ 2.60GHz", "cores": 2, "threads": 1, "pinned": [0],
        "memory_bytes": 24 << 30, "load_average": [0.4, 0.3, 0.2], "gpu": None,
        "bytes_per_pass": 33_000_000, "draft_bytes_per_pass": {"builtin": 2_100_000}, "bandwidth": 11.2e9,
        "models": {
            "target": {"name": "builtin", "directory": "/models/target", "revision": None, "implementation": "own",
                       "dtype": "float32", "device": "cpu", "context": 512},
            "drafts": [{"name": "builtin", "directory": "/models/draft", "revision": None, "implementation": "own",
                        "dtype": "float32", "device": "cpu", "context": 512}],
        },
        "sha256": {"target": {"model.safetensors": "ab" * 32}, "drafts": {"builtin": {"model.safetensors": "cd" * 32}},
                   "suite": "ef" * 32},
        "skipped_lines": [], "prompts": len(shape.subtasks) * shape.prompts, "chat_template": False, "refused": [],
        "truncated": [], "outgrown": {},
        "methods": {
            label: {"method": p.method, "title": p.title, "lossless": p.lossless, "paper": "Example et al. 2023",
                    "draft": "builtin" if p.most else None, "options": {"gamma": p.most} if p.most else {}}
            for label, p in shape.cells.items()
        },
        "after": {"bandwidth": 11.4e9, "load_average": [1.1, 0.6, 0.3], "gpu": None},
    }
