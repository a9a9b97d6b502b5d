"""An engine without models whose clock moves only when it decodes, and a small suite."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from draftwise.bench.models import Models
from draftwise.options import DecodingOptions
from draftwise.tasks import SUITES, Prompt, shipped

METHODS = ("as", "sps", "bild")
MS = 1_000_000
CONTEXT = 400
PASS = {"as": 10 * MS, "sps": 15 * MS, "bild": 12 * MS}
"""What a target pass of each method costs."""


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


@dataclass
class Call:
    """One call of ``generate``."""

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
    target: Any = field(default_factory=lambda: SimpleNamespace(device="cpu", bytes_per_pass=None, eos_token_ids=(2,)))
    draft: Any = field(
        default_factory=lambda: SimpleNamespace(max_positions=CONTEXT, start_token_id=None, bytes_per_pass=None)
    )
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

    def check_prompt(self, ids: list[int], method: str, options: DecodingOptions) -> None:
        assert 0 < len(ids) <= self.prompt_limit(options)

    def generate(self, ids: list[int], *, method: str, seed: int, **options: Any) -> Any:
        self.calls.append(Call(tuple(ids), method, seed, options, self.now))
        time.sleep(self.nap)
        count = options["max_new_tokens"]
        tokens = tuple((sum(ids) + place) % 97 for place in range(count))
        width = 1 if method == "as" else 2
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
