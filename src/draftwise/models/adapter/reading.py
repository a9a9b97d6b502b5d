"""The weights of a directory in a module of transformers, nothing missing and nothing left over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from draftwise.errors import DraftwiseError, one_line
from draftwise.models.adapter.quiet import quietly
from draftwise.models.adapter.support import Architecture

_DERIVED = re.compile(
    r"(.*\.)?(inv_freq|masked_bias|position_ids|cos_cached|sin_cached|rotary_emb\..*|(attn|attention)\.bias)"
)
"""Tables and masks that older releases stored beside the weights, and that are computed nowadays."""


def read_module(directory: Path, architecture: Architecture, *, dtype: torch.dtype, device: torch.device) -> Any:
    """Load the module, ready to decode.

    Raises:
        DraftwiseError: the files can't be read, or don't fit what config.json describes.
    """
    model_class = architecture.model_class
    try:
        with quietly():
            module, report = model_class.from_pretrained(
                str(directory),
                config=architecture.config,
                dtype=dtype,
                attn_implementation=attention_of(model_class),
                **_experts_of(model_class, dtype),
                local_files_only=True,
                weights_only=True,
                ignore_mismatched_sizes=True,  # they are in the report, by name
                output_loading_info=True,
            )
    except Exception as error:  # whatever went wrong in a library's loader, the person needs one line
        raise DraftwiseError(f"transformers can't load {str(directory)!r}: {one_line(error)}") from None
    _expect_sound(directory, report)
    try:
        module = module.to(device)
    except RuntimeError as error:  # torch's way of saying that memory ran out
        raise DraftwiseError(
            f"can't put {str(directory)!r} on {device} ({one_line(error)}); choose a smaller dtype or another device"
        ) from None
    module.config.return_dict = True
    return module.eval().requires_grad_(False)


def attention_of(model_class: Any) -> str:
    """PyTorch's own attention where the model supports it, else the plain formula.

    Both run on every device and in every dtype, take any mask (so sliding windows and ALiBi are right), and give the
    same numbers for the same input; kernels from elsewhere (flash, flex, paged) promise less and need packages.
    """
    return "sdpa" if getattr(model_class, "_supports_sdpa", False) else "eager"


def _experts_of(model_class: Any, dtype: torch.dtype) -> dict[str, str]:
    """The plain loop over experts in float64, which PyTorch's grouped product of matrices lacks."""
    has_choice = getattr(model_class, "_can_set_experts_implementation", lambda: False)
    return {"experts_implementation": "eager"} if dtype == torch.float64 and has_choice() else {}


def _expect_sound(directory: Path, report: Mapping[str, Any]) -> None:
    for name, stored, wanted in _sorted(report["mismatched_keys"]):
        raise DraftwiseError(
            f"{name!r} in {str(directory)!r} has shape {list(stored)}, but config.json asks for {list(wanted)}"
        )
    for name in _sorted(report["missing_keys"]):
        raise DraftwiseError(f"no {name!r} in the weights of {str(directory)!r}; config.json asks for it")
    for name in _sorted(report["unexpected_keys"]):
        if not _DERIVED.fullmatch(name):
            raise DraftwiseError(f"{name!r} in {str(directory)!r} has no place in the model that config.json describes")


def _sorted(found: Iterable[Any]) -> list[Any]:
    return sorted(found, key=str)
