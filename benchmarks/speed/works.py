"""What is measured (passes, rounds, answers) and what by (reads of memory, small tensor operations)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import torch

from benchmarks.speed.ratios import Work
from draftwise import Engine
from draftwise.models.pages import large_pages
from draftwise.models.protocol import CausalLM

CONTEXT = 150  # tokens in the cache before a pass


def a_pass(model: CausalLM, width: int, context: int = CONTEXT) -> Work:
    """A pass over ``width`` tokens behind ``context`` others, all of whose logits are wanted."""
    ids = torch.randint(model.vocab_size, (1, context + width), generator=torch.Generator().manual_seed(0))
    cache, starts = model.new_cache(1, context + width), torch.zeros(1, dtype=torch.int64)
    model.forward(ids[:, :context], starts, cache, span=context, keep=0)
    tokens, starts = ids[:, context:], starts + context
    return Work(lambda _: model.forward(tokens, starts, cache, span=context + width, keep=width))


def a_read(size: int) -> Work:
    """Reading as many bytes as a pass reads of its weights, as ``draftwise.bench.bandwidth`` does fastest.

    That is by all threads, in two streams, from large pages.
    """
    front, back = large_pages(8 * max(1, size // 8)).view(torch.float32).fill_(1).chunk(2)
    return Work(lambda _: torch.dot(front, back))


def answers(engine: Engine, prompts: Sequence[Sequence[int]], method: str, per: str, **options: Any) -> Work:
    """Answering prompts one after the other, the caches filled outside the clock; a part is a "round" or a "token"."""
    found = [engine.generate(prompt, method=method, **options) for prompt in prompts]
    parts = sum(len(answer.rounds if per == "round" else answer.tokens) for answer in found)

    def prepare() -> list[Iterator[object]]:
        return [engine.stream(prompt, method=method, **options) for prompt in prompts]

    def run(streams: list[Iterator[object]]) -> None:
        for stream in streams:
            deque(stream, maxlen=0)

    return Work(run, prepare, parts)


def small_operations(count: int = 10) -> Work:
    """Operations on tensors of a few elements, as an engine's round is made of: what they cost is calling them."""
    ids = torch.arange(8).view(1, 8)
    lengths = torch.tensor([5])

    def run(_: object) -> None:
        with torch.inference_mode():
            for _ in range(count):
                block = torch.cat((ids, lengths[:, None]), 1)
                kept = (block[:, :-1] == ids).long().cumprod(1).sum(1)
                torch.where(kept > lengths, kept, lengths).tolist()

    return Work(run)


def repeated(work: Work, times: int) -> Work:
    """The same so often in a row: two works of like length are interrupted alike."""

    def run(prepared: object) -> None:
        for _ in range(times):
            work.run(prepared)

    return Work(run, work.prepare, times * work.parts)


class OutsidePasses:
    """A clock, in seconds, that stands still while traced answers draft and while the target's pass runs."""

    def __init__(self) -> None:
        """Begin with no pass."""
        self.passes = 0.0

    def __call__(self) -> float:
        """The time."""
        return perf_counter() - self.passes

    def answer(self, engine: Engine, prompt: Sequence[int], method: str, **options: Any) -> int:
        """Trace an answer, of which the clock keeps what judging and the engine took; gives its rounds."""
        began = perf_counter()
        rounds = engine.trace(prompt, method=method, **options).rounds
        kept = sum(span.judge_ns + span.engine_ns for span in rounds) / 1e9
        self.passes += perf_counter() - began - kept
        return len(rounds)

    def answers(self, engine: Engine, prompts: Sequence[Sequence[int]], method: str, **options: Any) -> Work:
        """Answering prompts one after the other; a part is a round."""

        def run(_: object) -> int:
            return sum(self.answer(engine, prompt, method, **options) for prompt in prompts)

        return Work(run, parts=run(None))
