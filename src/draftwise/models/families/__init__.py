"""The families of models that our own forward pass knows, each a small recipe: its switches and its weights' names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from draftwise.models.backends import Choice
from draftwise.models.checkpoint import Checkpoint
from draftwise.models.families import gemma, gpt2, gpt_neox, llama, opt, phi3
from draftwise.models.families.reading import Reader
from draftwise.models.families.settings import Settings
from draftwise.models.own import Architecture, Weights
from draftwise.models.protocol import CausalLM
from draftwise.models.quantised import INT8

__all__ = ["FAMILIES", "Family", "load_own", "own_architecture"]


class Family(NamedTuple):
    """A recipe: what config.json means, over the values of absent keys, and how a checkpoint names its tensors."""

    defaults: Mapping[str, Any]
    describe: Callable[[Settings], Architecture]
    read: Callable[[Reader], Weights]

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        """The switches that config.json's object sets.

        Raises:
            DraftwiseError: a value is missing or of no use.
            UnsupportedError: a switch that our own forward pass lacks.
        """
        settings = Settings(config, self.defaults)
        settings.refuse("quantization_config")
        return self.describe(settings)


FAMILIES: dict[str, Family] = {
    "opt": Family(opt.DEFAULTS, opt.describe, opt.read),
    "gpt2": Family(gpt2.DEFAULTS, gpt2.describe, gpt2.read),
    "gpt_neox": Family(gpt_neox.DEFAULTS, gpt_neox.describe, gpt_neox.read),
    "llama": Family(llama.LLAMA_DEFAULTS, llama.describe_llama, llama.read),
    "mistral": Family(llama.MISTRAL_DEFAULTS, llama.describe_mistral, llama.read),
    "qwen2": Family(llama.QWEN2_DEFAULTS, llama.describe_qwen2, llama.read),
    "qwen3": Family(llama.QWEN3_DEFAULTS, llama.describe_qwen3, llama.read),
    "gemma2": Family(gemma.GEMMA2_DEFAULTS, gemma.describe_gemma2, gemma.read),
    "gemma3_text": Family(gemma.GEMMA3_DEFAULTS, gemma.describe_gemma3, gemma.read),
    "gemma3": Family({"tie_word_embeddings": True}, gemma.describe_gemma3_with_images, gemma.read),
    "phi3": Family(phi3.DEFAULTS, phi3.describe, phi3.read),
}
"""By config.json's model_type."""


def own_architecture(config: Mapping[str, Any]) -> Architecture:
    """The switches of a config.json of one of ``FAMILIES``; errors as of ``Family.architecture``."""
    return FAMILIES[config["model_type"]].architecture(config)


def load_own(
    config: Mapping[str, Any], checkpoint: Checkpoint, eos_token_ids: tuple[int, ...], choice: Choice
) -> CausalLM:
    """Build the model that config.json's object describes, from all the weights of a checkpoint, by a backend.

    Raises:
        DraftwiseError: the config is of no use, or the weights don't fit it.
        UnsupportedError: a switch that our own forward pass lacks.
    """
    architecture = own_architecture(config)
    reader = Reader(architecture, checkpoint, choice.backend.prepare, int8=choice.dtype == INT8)
    with torch.inference_mode():
        weights = FAMILIES[config["model_type"]].read(reader)
        checkpoint.expect_none_left()
        return choice.build(architecture, weights, eos_token_ids)
