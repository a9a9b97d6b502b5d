"""The ids that each method meets, made and checked before anything is timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from draftwise.bench.plan import Task, sample_seed
from draftwise.bench.settings import BenchSettings
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions
from draftwise.tasks import Prompt, history

if TYPE_CHECKING:
    from draftwise.engine import Engine

BASELINE = "as"

Tick = Callable[[str], None]
"""Called with a label whenever one unit of work is done."""

WarmUp = tuple[str, Task, DecodingOptions]
"""An untimed call: method, prompt and options."""


def call_options(decoding: DecodingOptions) -> dict[str, Any]:
    """The keyword arguments of ``Engine.generate``, but for the seed, which is the sample's own."""
    return {name: value for name, value in asdict(decoding).items() if name != "seed"}


def make_inputs(
    engine: Engine, settings: BenchSettings, prompts: Sequence[Prompt], tick: Tick
) -> dict[Task, list[int]]:
    """The ids of every turn of every prompt.

    The history of a later turn is plain decoding's own answers, the same for every method.

    Raises:
        DraftwiseError: some prompts cannot be decoded; it names the first and counts them.
    """
    inputs = {(prompt.id, 0): engine.encode(prompt.turns[0]) for prompt in prompts}
    _check(engine, settings, inputs)
    answers: dict[str, list[str]] = {prompt.id: [] for prompt in prompts}
    options = call_options(settings.decoding)
    for turn in range(1, max(len(prompt.turns) for prompt in prompts)):
        later = [prompt for prompt in prompts if len(prompt.turns) > turn]
        for prompt in later:
            before = (prompt.id, turn - 1)
            seed = sample_seed(settings.decoding.seed, 0, before)
            answers[prompt.id].append(engine.generate(inputs[before], method=BASELINE, seed=seed, **options).text)
            tick("first answers")
        texts = {(prompt.id, turn): history(prompt.turns[: turn + 1], answers[prompt.id]) for prompt in later}
        new = {task: engine.encode(text) for task, text in texts.items()}
        _check(engine, settings, new)
        inputs |= new
    return inputs


def answers_needed(prompts: Sequence[Prompt]) -> int:
    """How many plain answers ``make_inputs`` decodes, and so how often it ticks."""
    return sum(len(prompt.turns) - 1 for prompt in prompts)


def _check(engine: Engine, settings: BenchSettings, inputs: dict[Task, list[int]]) -> None:
    faults: dict[Task, str] = {}
    for task, ids in inputs.items():
        for method in settings.methods:
            try:
                engine.check_prompt(ids, method, settings.decoding)
            except DraftwiseError as error:
                faults.setdefault(task, str(error))
    if faults:
        (name, turn), reason = next(iter(faults.items()))
        count = f"{len(faults)} of {len(inputs)}"
        raise DraftwiseError(f"{count} prompts cannot be decoded; the first is {name!r}, turn {turn + 1}: {reason}")


def warm_up_calls(settings: BenchSettings, inputs: dict[Task, list[int]], short: int = 8) -> list[WarmUp]:
    """The untimed calls before the first sample, a fixed number that follows from the settings and the prompts.

    Each method answers at each length of prompt that occurs, ``warmups`` times, and stops after ``short`` tokens; then
    the longest prompt in full, so that every length of context has been seen.
    """
    by_length = {len(ids): task for task, ids in inputs.items()}
    decoding = settings.decoding
    brief = replace(decoding, max_new_tokens=min(short, decoding.max_new_tokens))
    jobs = [(by_length[length], brief) for length in sorted(by_length)] + [(by_length[max(by_length)], decoding)]
    return [(method, *job) for job in jobs for method in settings.methods for _ in range(settings.warmups)]
