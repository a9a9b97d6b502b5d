"""Any causal or encoder–decoder model of the transformers library whose cache can be cropped, behind our protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from draftwise.models.adapter.decoder import DecoderLM
from draftwise.models.adapter.encoder_decoder import Seq2SeqLM
from draftwise.models.adapter.reading import read_module
from draftwise.models.adapter.support import find_architecture
from draftwise.models.protocol import CausalLM

__all__ = ["find_architecture", "load_adapter"]


def load_adapter(
    directory: Path,
    config: Mapping[str, Any],
    *,
    dtype: torch.dtype,
    device: torch.device,
    eos_token_ids: tuple[int, ...],
) -> CausalLM:
    """Load a model through transformers; an ``EncoderDecoderLM`` where config.json describes one.

    Args:
        directory: a local directory in the Hugging Face format.
        config: the object in its config.json.
        dtype: what to compute in, whatever the files store.
        device: where the model is to lie.
        eos_token_ids: the ids that end a text.

    Raises:
        DraftwiseError: transformers isn't installed or doesn't know the model, the model's state can't be rewound, or
            its weights lack a tensor, have one too many or one of another shape.
    """
    architecture = find_architecture(directory, config)
    module = read_module(directory, architecture, dtype=dtype, device=device)
    kind = DecoderLM if architecture.start_token_id is None else Seq2SeqLM
    return kind(module, architecture, eos_token_ids)
