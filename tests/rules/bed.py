"""A bed for planted cheats: a real bench of the real engine over toy models, or of a machine whose moods are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import fakes
import pytest
from fakes import COSTS, FakeEngine

from draftwise import Engine, Generation
from draftwise.analysis.run import RunData, load_run
from draftwise.analysis.summary import summarize
from draftwise.bench import BenchSettings, fingerprint, measure
from draftwise.bench.plan import Group, make_plan
from draftwise.bench.records import Sample, read_samples
from draftwise.bench.runner import run_bench
from draftwise.options import DecodingOptions
from draftwise.tasks import Prompt, Suite
from draftwise.tracing import Trace
from toys import Toy, cousin, toy

EOS = 3
METHODS = ("as", "as*", "sps")
PROMPTS = (
    Prompt("chat", "multi-turn", ("Hello", "And then?"), ("Hi", "then"), (("answer",), ("answer",))),
    Prompt("where", "qa", ("Where is it?",), ("There",)),
    Prompt("who", "qa", ("Who was she?",), ("A spy",)),
)
TASKS = 4


def questions(count: int) -> tuple[Prompt, ...]:
    return tuple(Prompt(f"q{n}", "qa", (f"Where is number {n:03}?",), ("There",)) for n in range(count))


class Call(NamedTuple):
    """One call of the engine."""

    kind: str  # "generate" or "trace"
    ids: tuple[int, ...]
    method: str
    seed: int
    options: dict[str, Any]
    answer: Generation


class Reader(Engine):
    """The real engine over models of 128 ids, which reads and writes ASCII and keeps what it is asked for."""

    def __init__(self, target: Toy, draft: Toy) -> None:
        super().__init__(target, draft)
        self.calls: list[Call] = []

    def encode(self, text: str) -> list[int]:
        return list(text.encode("ascii"))

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode("ascii")

    def generate(self, prompt: Any, *, method: str = "sps", seed: Any = 0, **options: Any) -> Any:
        answer = super().generate(prompt, method=method, seed=seed, **options)
        self.calls.append(Call("generate", tuple(prompt), method, seed, options, answer))
        return answer

    def trace(self, prompt: Any, *, method: str = "sps", seed: int = 0, **options: Any) -> Trace:
        trace = super().trace(prompt, method=method, seed=seed, **options)
        self.calls.append(Call("trace", tuple(prompt), method, seed, options, trace.generation))
        return trace


def reader(kind: type[Reader] = Reader, target: Toy | None = None) -> Reader:
    target = target or toy(128, seed=1, eos_token_ids=(EOS,), max_positions=256)
    return kind(target, cousin(target, 0.8))


@dataclass
class Machine(FakeEngine):
    """A fake engine on a machine that makes the n-th call so many times as slow."""

    mood: Callable[[int], float] = lambda number: 1.0

    def _answer(self, kind: str, ids: list[int], method: str, seed: int, options: dict[str, Any]) -> Any:
        began, out = self.now, super()._answer(kind, ids, method, seed, options)
        slow = self.mood(len(self.calls) - 1)
        for name in ("prefill_ns", "ttft_ns", "decode_ns"):
            setattr(out, name, round(getattr(out, name) * slow))
        self.now = began + out.prefill_ns + out.decode_ns
        return out


def settings(methods: Sequence[str] = METHODS, repeats: int = 3, **more: Any) -> BenchSettings:
    own = {name: more.pop(name) for name in list(more) if name in BenchSettings.__dataclass_fields__}
    return BenchSettings(
        methods=tuple(methods), repeats=repeats, decoding=DecodingOptions(**({"max_new_tokens": 12} | more)), **own
    )


def bench(
    engine: Any,
    directory: Path,
    chosen: BenchSettings | None = None,
    prompts: Iterable[Prompt] = PROMPTS,
    **more: Any,
) -> list[Sample]:
    """A whole run, from its settings to its last sample."""
    if isinstance(engine, FakeEngine):
        more = {"clock": engine.clock} | more
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint, "code_revision", lambda root: None)
        patch.setattr(measure, "measure_costs", lambda *_: COSTS)
        models = fakes.models(engine)
        run_bench(lambda: models, chosen or settings(), Suite(tuple(prompts)), directory, **more)
    return list(read_samples(directory))


def summary_of(directory: Path) -> dict[str, Any]:
    return summarize(load_run(directory))


def warnings_of(run: Path | RunData) -> str:
    return "\n".join(summarize(load_run(run) if isinstance(run, Path) else run)["warnings"])


def plan_in_order(tasks: Sequence[Any], labels: Sequence[str], **more: Any) -> Iterator[Group]:
    """Planted: the cells of each group in the settings' order, plain decoding first."""
    for group in make_plan(tasks, labels, **more):
        yield Group(group.session, group.repeat, group.task, tuple(labels), group.seed, group.first)
