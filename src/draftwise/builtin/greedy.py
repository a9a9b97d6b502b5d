"""Greedy answers of `transformers` models: a plain, slow loop that needs nothing of the engine."""

from collections.abc import Sequence
from typing import Any

import torch

from draftwise.builtin.tokenizer import EOS, PAD


@torch.inference_mode()
def greedy(model: Any, prompts: Sequence[list[int]], limit: int) -> list[list[int]]:
    """Return the new tokens of each prompt, `</s>` included where it came before `limit` tokens."""
    width = max(map(len, prompts))
    ids = torch.tensor([[PAD] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=limit,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    return [_until_eos(row) for row in out[:, width:].tolist()]


def _until_eos(row: list[int]) -> list[int]:
    return row[: row.index(EOS) + 1] if EOS in row else row
