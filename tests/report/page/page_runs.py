"""Runs in memory to show: made-up rounds, texts and times, with the figures that the analysis gives for them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from draftwise.analysis.checks import CheckTable
from draftwise.analysis.frame import frame_of
from draftwise.analysis.run import RunData
from draftwise.analysis.summary import summarize
from draftwise.bench import BenchSettings
from draftwise.bench.cells import Cell, describe_cells, make_cells
from draftwise.bench.records import Check, RoundTrace, Sample
from draftwise.bench.settings import Axis
from draftwise.options import DecodingOptions
from draftwise.tasks import SUBTASKS, Prompt

TEXT = """the court held that a river near Ulm was crossed by seven engineers who wrote down each price in euros before
noon and so the answer is twelve while every train to Mainz left late because of snow"""
WORDS = TEXT.split()
STOP, FIRST_WORD = 2, 3
MS = 1_000_000
SWEEP = (
    Axis("gamma", (1, 2, 3, 4, 6, 8)),
    Axis("fallback_threshold", (0.3, 0.6, 0.9)),
    Axis("rollback_threshold", (2.0, 3.0, 5.0, 8.0)),
)
SWEPT = DecodingOptions(gamma=1, fallback_threshold=0.3, rollback_threshold=2.0)


@dataclass(frozen=True)
class Shape:
    """What a made-up run looks like; ``texts`` serve as prompts and as the first token of answers, in turn."""

    methods: tuple[str, ...] = ("as", "as*", "sps", "bild")
    sweep: tuple[Axis, ...] = ()
    subtasks: Sequence[str] = SUBTASKS
    prompts: int = 20
    repeats: int = 3
    tokens: int = 30
    texts: Sequence[str] = ()
    costs: bool = True
    samples: bool = True
    checks: bool = True
    references: bool = True


def make_run(shape: Shape | None = None) -> tuple[RunData, dict[str, Any]]:
    """A run and its summary."""
    shape = shape or Shape()
    settings = BenchSettings(
        methods=shape.methods,
        repeats=shape.repeats,
        sweep=shape.sweep,
        decoding=SWEPT if shape.sweep else DecodingOptions(),
    )
    cells = make_cells(settings)
    prompts = tuple(_prompts(shape))
    groups = tuple(_checks(shape, cells, prompts)) if shape.checks else ()
    environment = _environment(cells, prompts)
    labels = [cell.label for cell in cells]
    table = CheckTable.of(groups, labels, settings, environment)
    samples = _samples(shape, groups) if shape.samples else iter(())
    run = RunData(
        settings=settings,
        environment=environment,
        prompts=prompts,
        frame=frame_of(samples, table.ids, labels, shape.tokens),
        checks=table,
        costs=_costs() if shape.costs else None,
        planned=len(prompts) * len(cells) * shape.repeats,
        groups=groups,
    )
    return run, summarize(run)


def _prompts(shape: Shape) -> Iterator[Prompt]:
    rng = random.Random(5)
    for place, subtask in enumerate(subtask for subtask in shape.subtasks for _ in range(shape.prompts)):
        text = shape.texts[place % len(shape.texts)] if shape.texts else " ".join(rng.choices(WORDS, k=24))
        name = f"{subtask.replace(' ', '-')}-{place % shape.prompts:03d}"
        yield Prompt(name, subtask, (text,), ("right",) if shape.references else ())


def _checks(shape: Shape, cells: Sequence[Cell], prompts: Sequence[Prompt]) -> Iterator[list[Check]]:
    """The checks of each task; a lossy cell now and then writes another word."""
    for place, prompt in enumerate(prompts):
        rng = random.Random(prompt.id)
        ids = [rng.randrange(FIRST_WORD, FIRST_WORD + len(WORDS)) for _ in range(rng.randint(4, shape.tokens - 1))]
        group = []
        for cell in cells:
            own = list(ids)
            if cell.method == "bild" and rng.random() < 0.3:
                own[rng.randrange(len(own))] = FIRST_WORD + rng.randrange(len(WORDS))
            pieces = [f" {WORDS[token - FIRST_WORD]}" for token in own] + [""]
            if shape.texts:
                pieces[0] = shape.texts[place % len(shape.texts)]
            tokens = (*own, STOP)
            group.append(
                Check(
                    prompt_id=prompt.id,
                    subtask=prompt.subtask,
                    turn=0,
                    method=cell.label,
                    seed=1,
                    prompt_tokens=31,
                    new_tokens=tokens,
                    pieces=tuple(pieces),
                    finish_reason="eos",
                    text="".join(pieces),
                    score=float(own == ids) if shape.references else None,
                    rounds=tuple(_rounds(cell, tokens, rng)),
                )
            )
        yield group


def _rounds(cell: Cell, tokens: Sequence[int], rng: random.Random) -> Iterator[RoundTrace]:
    """Rounds that emit the tokens: guesses stand with one chance, and what fell is some word."""
    done = 0
    while done < len(tokens):
        left = len(tokens) - done
        most = {"sps": cell.options.gamma, "bild": rng.randint(0, cell.options.max_draft_tokens)}.get(cell.method, 0)
        drafted = min(most, left)
        accepted = next((place for place in range(drafted) if rng.random() > 0.75), drafted)
        emitted = min(accepted + 1, left)
        wrong = [rng.randrange(FIRST_WORD, FIRST_WORD + len(WORDS) + 9) for _ in range(drafted - accepted)]
        draft = (*tokens[done : done + accepted], *wrong)
        times = (210_000 * drafted, 900_000, 60_000 if drafted else 0, 40_000, 15_000)
        yield RoundTrace(draft, accepted, emitted, drafted + 1 if drafted else 0, *times)
        done += emitted


def _samples(shape: Shape, groups: Sequence[Sequence[Check]]) -> Iterator[Sample]:
    """Timed samples that cost what their rounds cost, with scatter; a few are far out."""
    rng = random.Random(5)
    order = 0
    for repeat in range(shape.repeats):
        for check in (check for group in groups for check in group):
            slow = 2.6 if rng.random() < 0.003 else rng.lognormvariate(0, 0.03)
            work = sum(1.9 * MS + 0.35 * MS * spent.drafted for spent in check.rounds)
            decode = int(work * slow)
            yield Sample(
                prompt_id=check.prompt_id,
                subtask=check.subtask,
                turn=check.turn,
                method=check.method,
                session=0,
                repeat=repeat,
                order=order,
                seed=check.seed,
                prompt_tokens=check.prompt_tokens,
                new_tokens=check.new_tokens,
                passes=len(check.rounds),
                compilations=0,
                prefill_ns=4 * MS,
                ttft_ns=4 * MS + decode // len(check.rounds),
                decode_ns=decode,
                total_ns=4 * MS + decode + 100_000,
            )
            order += 1


def _costs() -> dict[str, Any]:
    curve = {str(width): int(1.9 * MS * (1 + 0.06 * (width - 1))) for width in range(1, 12)}
    return {
        "schema": 3,
        "context": 64,
        "passes": 50,
        "target": curve,
        "drafts": {"builtin": {"1": 330_000, "2": 351_000}},
    }


def _environment(cells: Sequence[Cell], prompts: Sequence[Prompt]) -> dict[str, Any]:
    model = {"name": "builtin", "implementation": "own", "dtype": "float32", "device": "cpu", "context": 512}
    return {
        "time": "2026-11-20T09:30:00+00:00",
        "command": "draftwise bench --limit 20",
        "revision": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "versions": {"draftwise": "0.4.0", "python": "3.11.9", "torch": "2.13.0"},
        "platform": "Linux-6.1-x86_64",
        "cpu": "Example CPU @ 2.60GHz",
        "cores": 2,
        "threads": 1,
        "pinned": [0],
        "memory_bytes": 24 << 30,
        "load_average": [0.4, 0.3, 0.2],
        "gpu": None,
        "bytes_per_pass": 33_000_000,
        "draft_bytes_per_pass": {"builtin": 2_100_000},
        "bandwidth": 21e9,
        "models": {"target": model, "drafts": [model]},
        "sha256": {"target": {"model.safetensors": "ab" * 32}, "drafts": {"builtin": {}}, "suite": "ef" * 32},
        "prompts": len(prompts),
        "chat_template": False,
        "stop_token_ids": [STOP],
        "methods": describe_cells(cells),
        "after": {"bandwidth": 21.4e9, "load_average": [1.1, 0.6, 0.3], "gpu": None},
    }
