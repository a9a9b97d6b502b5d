"""How large a run is: the seed's experiment at its true size, or tiny shapes on a CPU that take the same way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Scale:
    """What is measured, and on how much.

    Attributes:
        device: where.
        dtype: of both models.
        backend: what runs the passes.
        target: a name that ``draftwise bench --target`` takes.
        draft: likewise.
        seconds: for all of it.
        copied_bytes: of the buffer whose copying tells the speed of memory.
        speed_tokens: new tokens of an answer whose plain decoding is held against that speed.
        exact_prompts: prompts of each subtask whose ids are compared.
        gammas: lengths of drafts with which they are decoded, the most telling first.
        batches: rows decoded at once, likewise.
        peer_prompts: prompts of each subtask that transformers answers as well.
        peer_repeats: how often.
        bench_prompts: prompts of each subtask in the experiment.
        bench_repeats: how often each is measured with each method.
        decoding: options of every answer.
    """

    device: str
    dtype: str
    backend: str
    target: str
    draft: str
    seconds: float
    copied_bytes: int
    speed_tokens: int
    exact_prompts: int
    gammas: tuple[int, ...]
    batches: tuple[int, ...]
    peer_prompts: int
    peer_repeats: int
    bench_prompts: int
    bench_repeats: int
    decoding: dict[str, Any] = field(default_factory=dict)


SEED = {"max_new_tokens": 30, "temperature": 0.0, "gamma": 4, "fallback_threshold": 0.6, "rollback_threshold": 3.0}
"""The settings of the experiment that this project starts from."""

FULL = Scale(
    device="cuda",
    dtype="bfloat16",
    backend="auto",
    target="grown:facebook/opt-6.7b",
    draft="grown:facebook/opt-125m",
    seconds=500,
    copied_bytes=4 << 30,
    speed_tokens=64,
    exact_prompts=20,
    gammas=(4, 1, 8, 2, 3, 5, 6, 7),
    batches=(1, 4),
    peer_prompts=2,
    peer_repeats=3,
    bench_prompts=6,
    bench_repeats=3,
    decoding=SEED,
)

DRY = Scale(
    device="cpu",
    dtype="float32",
    backend="plain",
    target="grown:layers=9",
    draft="grown:layers=3",
    seconds=500,
    copied_bytes=16 << 20,
    speed_tokens=8,
    exact_prompts=1,
    gammas=(4,),
    batches=(1, 4),
    peer_prompts=1,
    peer_repeats=1,
    bench_prompts=1,
    bench_repeats=1,
    decoding={**SEED, "max_new_tokens": 6},
)
