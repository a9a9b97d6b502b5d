"""transformers on the same weights: its own models, whose tensors are grown into place on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, OPTConfig
from transformers.utils import logging

from draftwise.models.loading import DTYPES, OpenModel

Decode = Callable[[list[int]], list[int]]
"""The new ids that follow a prompt's."""


def build_model(opened: OpenModel) -> Any:
    """A model of transformers with the tensors of an opened one, which can't be loaded afterwards.

    Raises:
        DraftwiseError: the tensors aren't those of the model that transformers builds.
    """
    quiet: Callable[[], None] = logging.set_verbosity_error
    quiet()
    config, build = OPTConfig(**opened.config), cast(Any, AutoModelForCausalLM).from_config
    with opened.device:
        model = build(config, dtype=DTYPES[opened.spec.dtype]).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(opened.checkpoint.take(name, *parameter.shape))
    opened.checkpoint.expect_none_left()
    return model


def decoders(target: OpenModel, draft: OpenModel, tokens: int, gamma: int) -> dict[str, Decode]:
    """``generate``, and assisted by the draft with transformers' own settings and with drafts of ``gamma`` tokens.

    Each as transformers sets it up unless told otherwise: scaled-dot-product attention, a cache that grows.
    """
    large, small = build_model(target), build_model(draft)
    small.generation_config.pad_token_id = large.generation_config.pad_token_id
    own = {name: getattr(small.generation_config, name) for name in _SETTINGS}
    fixed = dict(zip(_SETTINGS, (gamma, "constant", 0.0), strict=True))

    def decode(ids: list[int], settings: dict[str, Any] | None = None) -> list[int]:
        prompt = torch.tensor([ids], device=target.device)
        assistant = {}
        if settings is not None:
            small.generation_config.update(**settings)
            assistant = {"assistant_model": small}
        written = large.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=tokens, do_sample=False, **assistant
        )
        return list(written[0, len(ids) :].tolist())

    return {
        "transformers generate": decode,
        "transformers assisted": lambda ids: decode(ids, own),
        f"transformers assisted, {gamma} tokens": lambda ids: decode(ids, fixed),
    }


_SETTINGS = ("num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold")
