"""Training batches: seeded samples of a mix of subtasks, grouped by length, with a weight for every predicted token."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from draftwise.builtin import world
from draftwise.builtin.tokenizer import BOS, EOS, PAD

_SINGLE_TURN_SHARE = 0.4  # of two-turn chats that are cut after their first answer


class Line(NamedTuple):
    """A token sequence and the loss weight of each of its tokens as a prediction."""

    ids: list[int]
    weights: list[float]


class Batch(NamedTuple):
    """Right-padded lines; padding has weight 0."""

    ids: Tensor  # [B, T]
    weights: Tensor  # [B, T]


def encode(tokenizer: Tokenizer, turns: Sequence[str], answers: Sequence[str], prompt_weight: float) -> Line:
    """Encode turns and answers as `world.render` joins them, with `</s>` at the end."""
    pieces: list[tuple[str, float]] = []
    for i, (turn, answer) in enumerate(zip(turns, answers, strict=True)):
        pieces += [("\n" if i else "", 0.0), (turn, prompt_weight), (" " + answer, 1.0)]
    ids, weights = [BOS], [0.0]
    for text, weight in pieces:
        piece = tokenizer.encode(text, add_special_tokens=False).ids
        ids += piece
        weights += [weight] * len(piece)
    return Line([*ids, EOS], [*weights, 1.0])


def pad(lines: Sequence[Line]) -> Batch:
    """Pad lines on the right to the longest."""
    width = max(len(line.ids) for line in lines)
    ids = torch.full((len(lines), width), PAD)
    weights = torch.zeros(len(lines), width)
    for row, line in enumerate(lines):
        ids[row, : len(line.ids)] = torch.tensor(line.ids)
        weights[row, : len(line.ids)] = torch.tensor(line.weights)
    return Batch(ids, weights)


def grouped(lines: Sequence[Line], groups: int) -> list[Batch]:
    """Sort lines by length and cut them into at most `groups` batches with the least padding."""
    ordered = sorted(lines, key=lambda line: len(line.ids))
    return [pad(ordered[start:end]) for start, end in _cuts([len(line.ids) for line in ordered], groups)]


def _cuts(lengths: Sequence[int], groups: int) -> list[tuple[int, int]]:
    """Return the cut of sorted lengths into ranges whose padded sizes have the least sum."""
    best = {0: (0, list[tuple[int, int]]())}
    for _ in range(groups):
        longer = dict(best)
        for start, (cost, ranges) in best.items():
            for end in range(start + 1, len(lengths) + 1):
                total = cost + (end - start) * lengths[end - 1]
                if end not in longer or total < longer[end][0]:
                    longer[end] = (total, [*ranges, (start, end)])
        best = longer
    return best[len(lengths)][1]


def draw_line(tokenizer: Tokenizer, subtask: str, rng: random.Random, prompt_weight: float) -> Line:
    """Draw one training line of a subtask."""
    drawn = world.sample(subtask, "train", rng)
    turns = 1 if len(drawn.turns) == 2 and rng.random() < _SINGLE_TURN_SHARE else len(drawn.turns)
    return encode(tokenizer, drawn.turns[:turns], drawn.answers[:turns], prompt_weight)


def draw_lines(
    tokenizer: Tokenizer, mix: Mapping[str, float], count: int, rng: random.Random, prompt_weight: float
) -> Iterator[Line]:
    """Draw the lines of one step, subtasks in the proportions of `mix`."""
    for subtask in rng.choices(list(mix), weights=list(mix.values()), k=count):
        yield draw_line(tokenizer, subtask, rng, prompt_weight)
