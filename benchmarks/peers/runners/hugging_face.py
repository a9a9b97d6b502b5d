"""transformers on a CPU: ``generate`` with its defaults, a dynamic cache and PyTorch's fused attention among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils import logging

from benchmarks.peers.cases import Case
from benchmarks.peers.runners import Loaded, Unable

LOOKUP_TOKENS = 10
"""Tokens that prompt lookup proposes, as in transformers' documentation of it."""
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load(case: Case) -> Loaded:
    """Load the pair; the draft twice, since a draft's settings are its own."""
    target = _model(case, case.target)
    default, short = (_draft(case, target) for _ in range(2))
    short.generation_config.num_assistant_tokens = 4
    short.generation_config.num_assistant_tokens_schedule = "constant"
    short.generation_config.assistant_confidence_threshold = 0.0

    def decode(ids: list[int], tokens: int, **options: Any) -> Sequence[int]:
        prompt = torch.tensor([ids])
        mask = torch.ones_like(prompt)
        written = target.generate(prompt, attention_mask=mask, max_new_tokens=tokens, do_sample=False, **options)
        return list(written[0, len(ids) :].tolist())

    return Loaded(
        {
            "generate": decode,
            "assisted, its defaults": lambda ids, tokens: decode(ids, tokens, assistant_model=default),
            "assisted, 4 tokens": lambda ids, tokens: decode(ids, tokens, assistant_model=short),
            "prompt lookup": lambda ids, tokens: decode(ids, tokens, prompt_lookup_num_tokens=LOOKUP_TOKENS),
        },
        {},
        {"attention": target.config._attn_implementation, "dtype": str(target.dtype)},
    )


def _model(case: Case, directory: str) -> Any:
    """A model that writes past the end of text, so that all write as many tokens."""
    if case.dtype not in TYPES:
        raise Unable(f"has no {case.dtype} of its own on a CPU; it takes torchao's or other packages'")
    torch.set_num_threads(case.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=TYPES[case.dtype]).eval()
    model.generation_config.eos_token_id = None
    return model


def _draft(case: Case, target: Any) -> Any:
    """The draft, with the target's number of ids in its config.

    transformers refuses a draft whose config says another number, even where the tokenizer is the same and the ids in
    excess are padding; greedy assisted generation compares ids only and needs no more.
    """
    draft = _model(case, case.draft)
    draft.config.vocab_size = target.config.vocab_size
    return draft


class ModulePasses:
    """The target's forward pass on a dynamic cache."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.cache = DynamicCache(config=model.config)
        self.facts: dict[str, Any] = {}

    def fill(self, ids: list[int]) -> None:
        """Begin a new context."""
        self.cache = DynamicCache(config=self.model.config)
        self.feed(ids)

    def feed(self, ids: list[int]) -> None:
        """One pass with logits for every token."""
        with torch.inference_mode():
            self.model(torch.tensor([ids]), past_key_values=self.cache, use_cache=True)


def passes(case: Case) -> ModulePasses:
    """Load the target."""
    return ModulePasses(_model(case, case.target))
