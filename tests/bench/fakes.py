"""An engine without models whose clock moves only when it decodes, and a small suite."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from draftwise.bench.models import Models
from draftwise.bench.records import Sample, read_checks, read_samples
from draftwise.engine import Engine
from draftwise.options import DecodingOptions
from draftwise.tasks import SUITES, Prompt, shipped
from draftwise.tracing import Span

METHODS = ("as", "sps", "bild")
MS = 1_000_000
CONTEXT = 400
PASS = {"as": 10 * MS, "as*": 10 * MS, "sps": 15 * MS, "bild": 12 * MS}
"""What a target pass of each method costs."""

TASKS = 7
SAMPLES = TASKS * 3 * 3
"""Of a run of the small suite with three methods and three repeats."""

COSTS: dict[str, Any] = {"context": 20, "target": {"1": 10, "2": 11}, "drafts": {"builtin": {"1": 1}}, "passes": 5}


def prompts() -> list[Prompt]:
    """Two conversations of two turns and three questions."""
    chats = [
        Prompt(f"chat-{n}", "multi-turn", (f"Hello {n}", "And then?"), ("Hi", "then"), (("answer",), ("answer",)))
        for n in range(2)
    ]
    return chats + [Prompt(f"qa-{n}", "qa", ("Where" + "?" * n,), ("There",)) for n in range(3)]


def models(engine: Any, **drafts: Any) -> Models:
    """The engine as that of the built-in draft, or engines by their drafts' names."""
    return Models(drafts or {"builtin": engine}, {"models": {}, "sha256": {}, "memory": "enough"})


def add_suite() -> None:
    SUITES["small"] = shipped(prompts)


def model(**facts: Any) -> Any:
    return SimpleNamespace(device="cpu", bytes_per_pass=None, eos_token_ids=(0,), start_token_id=None, **facts)


def groups(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Samples of one task in one repeat of one session that stand together."""
    keys = groupby(samples, key=lambda item: (item.session, item.repeat, item.prompt_id, item.turn))
    return [list(group) for _, group in keys]


@dataclass
class Call:
    """One call of ``generate`` or ``trace``."""

    kind: str
    ids: tuple[int, ...]
    method: str
    seed: int
    options: dict[str, Any]
    began: int


@dataclass
class FakeEngine:
    """Answers with as many tokens as it may; a speculating method emits two a pass.

    ``nap`` is what an answer really takes, in seconds.
    """

    nap: float = 0.0
    now: int = 1_000
    calls: list[Call] = field(default_factory=list)
    target: Any = field(default_factory=model)
    draft: Any = field(default_factory=lambda: model(max_positions=CONTEXT))
    chat_template: Any = None
    context: int = CONTEXT

    def clock(self) -> int:
        return self.now

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def encode_chat(self, messages: list[dict[str, str]]) -> list[int]:
        assert self.chat_template is not None
        return self.encode("".join(f"<{item['role']}>{item['content']}" for item in messages))

    def decode(self, ids: list[int]) -> str:
        """The first token of a text that begins with a less-than sign is special: it has no text."""
        return bytes(ids).decode().removeprefix("<")

    def prompt_limit(self, options: DecodingOptions) -> int:
        return self.context - options.max_new_tokens

    def end_ids(self, options: DecodingOptions) -> list[int]:
        return Engine.end_ids(self, options)  # type: ignore[arg-type]

    def check_prompt(self, ids: list[int], method: str, options: DecodingOptions) -> None:
        assert 0 < len(ids) <= self.prompt_limit(options)

    def pieces(self, ids: Sequence[int]) -> tuple[str, ...]:
        return (f" answer {ids[0]}", *[""] * (len(ids) - 1))

    def generate(self, ids: list[int], *, method: str, seed: int, **options: Any) -> Any:
        return self._answer("generate", ids, method, seed, options)

    def trace(self, ids: list[int], *, method: str, seed: int, **options: Any) -> Any:
        out = self._answer("trace", ids, method, seed, options)
        spans = [Span((7,) * item.drafted, item.drafted, 1, 2, 3, 4, 5) for item in out.rounds]
        return SimpleNamespace(generation=out, rounds=tuple(spans))

    def _answer(self, kind: str, ids: list[int], method: str, seed: int, options: dict[str, Any]) -> Any:
        self.calls.append(Call(kind, tuple(ids), method, seed, options, self.now))
        time.sleep(self.nap)
        count = options["max_new_tokens"]
        tokens = tuple((sum(ids) + place) % 97 for place in range(count))
        width = 1 if method.startswith("as") else 2
        sizes = [min(width, count - start) for start in range(0, count, width)]
        rounds = tuple(SimpleNamespace(drafted=width - 1, accepted=size - 1, emitted=size) for size in sizes)
        decode = PASS[method] * len(rounds)
        self.now += 5 * MS + decode
        return SimpleNamespace(
            text=f" answer {tokens[0]}",
            tokens=tokens,
            finish_reason="length",
            rounds=rounds,
            prefill_ns=5 * MS,
            ttft_ns=5 * MS + PASS[method],
            decode_ns=decode,
        )


def bench(directory: object, *more: object, repeats: int = 3, methods: str = "as,sps,bild") -> tuple[object, ...]:
    """The arguments of a bench of the small suite."""
    return (
        *("bench", "--suite", "small", "--methods", methods, "--repeats", repeats, "--max-new-tokens", 12),
        *(*more, "--output", directory),
    )


def taken(directory: Path) -> list[tuple[Any, ...]]:
    """What a run's samples and checks are beside their times, in the order in which they stand on the disk."""
    samples = [
        (item.session, item.repeat, item.order, item.prompt_id, item.turn, item.method, item.seed, item.new_tokens)
        for item in read_samples(directory)
    ]
    checks = [
        (item.prompt_id, item.turn, item.method, item.seed, item.new_tokens, item.text, item.pieces, item.score)
        + tuple((one.draft, one.accepted, one.emitted, one.draft_passes) for one in item.rounds)
        for group in read_checks(directory)
        for item in group
    ]
    return [*samples, *checks]
