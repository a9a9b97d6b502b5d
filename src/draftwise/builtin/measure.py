"""Cheap figures from one teacher-forced pass: what greedy decoding would get right, without decoding."""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer

from draftwise.builtin import world
from draftwise.builtin.batches import Batch, encode, grouped


class Exactness(NamedTuple):
    """Share of answers right to the last token, and share of answer tokens right, given the reference before them."""

    answers: float
    tokens: float


def held_out(tokenizer: Tokenizer, subtask: str, split: world.Split, count: int, seed: int = 23) -> list[Batch]:
    """Draw held-out lines of a subtask, in batches of like length."""
    rng = random.Random(f"{seed}-{subtask}-{split}")
    drawn = [world.sample(subtask, split, rng) for _ in range(count)]
    return grouped([encode(tokenizer, x.turns, x.answers, 0.0) for x in drawn], 2)


@torch.inference_mode()
def exactness(model: Any, batches: Sequence[Batch]) -> Exactness:
    """Compare the model's argmax with the reference at every answer token."""
    right_answers = right_tokens = answers = tokens = 0
    for batch in batches:
        logits = model(input_ids=batch.ids[:, :-1], use_cache=False).logits  # [B, T-1, V]
        wanted = batch.weights[:, 1:] > 0
        right = (logits.argmax(-1) == batch.ids[:, 1:]) & wanted
        right_tokens += int(right.sum())
        tokens += int(wanted.sum())
        right_answers += int((right.sum(1) == wanted.sum(1)).sum())
        answers += len(batch.ids)
    return Exactness(right_answers / answers, right_tokens / tokens)
