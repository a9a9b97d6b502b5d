"""Score the pair: `python -m draftwise.builtin.evaluate --split dev|test [--limit N] [--pair DIR]`.

Prints, per subtask, the scores of the greedy answers of target and draft, in full and cut at 30 new tokens, and how
often the draft agrees with the target. Needs the `train` extra (transformers).
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from tokenizers import Tokenizer

from draftwise import builtin
from draftwise.builtin import world
from draftwise.builtin.batches import Line, pad
from draftwise.builtin.greedy import greedy
from draftwise.builtin.measure import exactness
from draftwise.builtin.tokenizer import EOS
from draftwise.tasks.scoring import score

FULL, CUT = 64, 30  # new tokens


@dataclass(frozen=True, slots=True)
class Prompt:
    """One turn to answer, after the target's own answer to the turn before it, if there is one."""

    ids: list[int]
    reference: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one subtask, means over prompts."""

    target: float
    target_cut: float
    draft: float
    draft_cut: float
    agreement: float


def load(directory: Path) -> tuple[Any, Tokenizer]:
    """Load a model in float32, and its tokenizer."""
    from transformers import OPTForCausalLM

    model: Any = OPTForCausalLM.from_pretrained(directory, dtype=torch.float32)
    return model.eval(), Tokenizer.from_file(str(directory / "tokenizer.json"))


def _text(tokenizer: Tokenizer, ids: Sequence[int], limit: int = FULL) -> str:
    return str(tokenizer.decode([token for token in ids[:limit] if token != EOS]))


def _turn(tokenizer: Tokenizer, samples: Sequence[world.Sample], at: int, first: Sequence[str]) -> list[Prompt]:
    prompts = []
    for i, sample in enumerate(samples):
        if at < len(sample.turns):
            text = world.render(sample.turns[: at + 1], [first[i]] if at else [])
            prompts.append(Prompt(tokenizer.encode(text).ids, sample.answers[at], sample.fields[at]))
    return prompts


def _mean_score(tokenizer: Tokenizer, subtask: str, prompts: list[Prompt], answers: list[list[int]], cut: int) -> float:
    return fmean(
        score(subtask, _text(tokenizer, answer, cut), prompt.reference, prompt.fields)
        for prompt, answer in zip(prompts, answers, strict=True)
    )


def measure(target: Any, draft: Any, tokenizer: Tokenizer, samples: Sequence[world.Sample]) -> Row:
    """Answer the samples of one subtask with both models and compare."""
    subtask = samples[0].subtask
    prompts = _turn(tokenizer, samples, 0, [])
    answers = greedy(target, [prompt.ids for prompt in prompts], FULL)
    second = _turn(tokenizer, samples, 1, [_text(tokenizer, answer) for answer in answers])
    if second:
        answers += greedy(target, [prompt.ids for prompt in second], FULL)
        prompts += second
    guesses = greedy(draft, [prompt.ids for prompt in prompts], FULL)
    lines = [
        Line(prompt.ids + answer, [0.0] * len(prompt.ids) + [1.0] * len(answer))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]

    def mean(ids: list[list[int]], cut: int) -> float:
        return _mean_score(tokenizer, subtask, prompts, ids, cut)

    return Row(
        target=mean(answers, FULL),
        target_cut=mean(answers, CUT),
        draft=mean(guesses, FULL),
        draft_cut=mean(guesses, CUT),
        agreement=exactness(draft, [pad(lines)]).tokens,
    )


def draw(subtask: str, split: world.Split, limit: int) -> list[world.Sample]:
    """Draw the samples that a subtask is measured on."""
    rng = random.Random(f"evaluate/{subtask}/{split}")
    return [world.sample(subtask, split, rng) for _ in range(limit)]


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description="Score the built-in pair.")
    parser.add_argument("--split", choices=["dev", "test"], default="dev")
    parser.add_argument("--limit", type=int, default=48, help="prompts a subtask")
    parser.add_argument("--pair", type=Path, default=builtin.target_directory().parent)
    parser.add_argument("--draft", type=Path, help="another draft")
    options = parser.parse_args()
    target, tokenizer = load(options.pair / "target")
    draft, _ = load(options.draft or options.pair / "draft")
    print(f"{'subtask':20s} target  (30)   draft   (30)   agreement")
    rows = []
    for subtask in world.SUBTASKS:
        rows.append(measure(target, draft, tokenizer, draw(subtask, options.split, options.limit)))
        _print(subtask, rows[-1])
    columns = ("target", "target_cut", "draft", "draft_cut", "agreement")
    _print("mean", Row(**{column: fmean(getattr(row, column) for row in rows) for column in columns}))


def _print(name: str, row: Row) -> None:
    print(
        f"{name:20s} {row.target:.3f}  {row.target_cut:.3f}  {row.draft:.3f}   {row.draft_cut:.3f}  "
        f"{row.agreement:.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
