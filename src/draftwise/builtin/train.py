"""Make the pair from nothing: `python -m draftwise.builtin.train --output DIR [--model target|draft|both] [--steps N]`.

Needs the `train` extra (transformers). Seeded and fixed by steps; the schedule is in `recipe.py`.
"""

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from draftwise.builtin import measure, workers, world
from draftwise.builtin.batches import Batch
from draftwise.builtin.recipe import RECIPES, Recipe
from draftwise.builtin.tokenizer import train_tokenizer
from draftwise.builtin.trainer import Progress, new_model, train

_CHECK_PROMPTS = 48  # a subtask, at each report


def save(model: Any, tokenizer: Tokenizer, directory: Path) -> None:
    """Write a directory in Hugging Face form: config.json, bfloat16 safetensors and tokenizer.json."""
    directory.mkdir(parents=True, exist_ok=True)
    state = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items()}
    model.config.dtype = torch.bfloat16
    model.save_pretrained(directory, state_dict=state)
    (directory / "generation_config.json").unlink(missing_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))


def _report(model: Any, checks: dict[str, list[Batch]], progress: Progress, started: float, loss: float) -> None:
    model.eval()
    figures = {subtask: measure.exactness(model, batches) for subtask, batches in checks.items()}
    model.train()
    seconds = time.monotonic() - started
    print(
        f"step {progress.step + 1}  {progress.tokens / 1e6:.2f}M tokens  {seconds:.0f} s  "
        f"{progress.tokens / seconds:.0f} tokens/s  loss {loss:.3f}\n  "
        + "  ".join(f"{name} {figure.answers:.2f}/{figure.tokens:.2f}" for name, figure in figures.items()),
        flush=True,
    )


def train_and_save(rank: int, recipe: Recipe, tokenizer_text: str, directory: Path, every: int) -> None:
    """Train one model as one of its workers; the first reports figures on `dev` and saves every `every` steps."""
    tokenizer = Tokenizer.from_str(tokenizer_text)
    model = new_model(recipe, tokenizer.get_vocab_size())
    checks = {name: measure.held_out(tokenizer, name, "dev", _CHECK_PROMPTS) for name in world.SUBTASKS}
    started, losses = time.monotonic(), list[float]()
    for progress in train(model, tokenizer, recipe, rank):
        losses.append(progress.loss)
        if rank == 0 and ((progress.step + 1) % every == 0 or progress.step + 1 == recipe.steps):
            _report(model, checks, progress, started, sum(losses) / len(losses))
            save(model, tokenizer, directory)
            losses.clear()


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description="Train the built-in pair.")
    parser.add_argument("--output", type=Path, required=True, help="directory to write target/ and draft/ into")
    parser.add_argument("--model", choices=[*RECIPES, "both"], default="both")
    parser.add_argument("--steps", type=int, help="steps instead of the recipe's (a shorter schedule)")
    parser.add_argument("--every", type=int, default=250, help="steps between reports and checkpoints")
    options = parser.parse_args()
    tokenizer = train_tokenizer()
    for name in RECIPES if options.model == "both" else [options.model]:
        recipe = RECIPES[name]
        if options.steps is not None:
            recipe = dataclasses.replace(recipe, steps=options.steps)
        print(f"{name}: {recipe.steps} steps, vocabulary {tokenizer.get_vocab_size()}", flush=True)
        arguments = (recipe, tokenizer.to_str(), options.output / name, options.every)
        workers.run(recipe.workers, train_and_save, arguments)


if __name__ == "__main__":
    main()
