"""What only a pass tells: that a model is causal and its cache can be cut, how wide its logits are, what it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from draftwise.errors import DraftwiseError, one_line
from draftwise.models.adapter.rows import Row
from draftwise.models.adapter.support import unrewindable

_ACTIVE_EXPERTS = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "moe_topk",
    "moe_top_k",
    "moe_k",
    "top_k_experts",
    "num_selected_experts",
)

_ROUNDING, _NARROW_ROUNDING = 1e-3, 0.1
"""The share of the largest logit by which equal passes may differ, in types of 32 bits and more and in narrower ones.

Not 0, because experts that take in another number of tokens may add up in another order.
"""


class Runner(Protocol):
    """The part of an adapter that runs passes."""

    device: torch.device

    def new_cache(self, batch: int, capacity: int) -> list[Row]:
        """Rows that have seen nothing."""

    def run(self, tokens: Tensor, row: Row, wanted: int) -> Tensor:
        """Logits after one more pass of a row."""


@runtime_checkable
class Encoder(Protocol):
    """The part of an encoder–decoder's adapter that reads prompts."""

    def read_sources(self, sources: Sequence[Sequence[int]], cache: list[Row]) -> None:
        """Encode each row's prompt."""


@torch.inference_mode()
def probe(model: Runner, module: Any) -> tuple[int, int]:
    """Run two tokens at once, take them back, run two others, take one of them back and run it alone.

    Returns:
        the width of the logits, and the bytes of the weights that the last pass read.

    Raises:
        DraftwiseError: the model can't take tokens back, or a token sees those after it.
    """
    (row,) = model.new_cache(1, 2)
    if isinstance(model, Encoder):
        model.read_sources([[0]], [row])
    first = _run(model, module, row, [0, 1])
    row.rewind(0)
    second = _run(model, module, row, [0, 2])
    rounding = _ROUNDING if torch.finfo(first.dtype).bits >= 32 else _NARROW_ROUNDING
    if (first[:, 0] - second[:, 0]).abs().max() > rounding * first.abs().max():
        raise DraftwiseError(
            f"a {module.config.model_type!r} model, as {str(module.config.name_or_path)!r} holds, lets a token see "
            "those after it, so it can't check several guesses in a pass; give a causal model"
        )
    row.rewind(1)
    with _recorded(module) as called:
        logits = _run(model, module, row, [2])
    return logits.shape[-1], _bytes_read(module, called)


def _run(model: Runner, module: Any, row: Row, ids: list[int]) -> Tensor:
    try:
        logits = model.run(torch.tensor([ids], device=model.device), row, len(ids))
    except Exception as error:  # a model that wants more than ids may fail in any way of its own
        raise DraftwiseError(
            f"transformers can't run the {module.config.model_type!r} model of {str(module.config.name_or_path)!r} "
            f"on token ids: {one_line(error)}"
        ) from None
    row.length += len(ids)
    held = row.cache.get_seq_length()
    if held != row.length:
        reason = f"its cache holds {held} positions after a pass that should leave {row.length}"
        raise unrewindable(module.config.name_or_path, module.config, reason)
    return logits


@contextmanager
def _recorded(module: nn.Module) -> Iterator[set[str]]:
    """The names of the modules that are called meanwhile: a projection that a cache stands in for isn't among them."""
    called: set[str] = set()
    hooks = [
        part.register_forward_pre_hook(lambda _part, _given, name=name: called.add(name))
        for name, part in module.named_modules()
    ]
    try:
        yield called
    finally:
        for hook in hooks:
            hook.remove()


def _bytes_read(module: nn.Module, called: set[str]) -> int:
    """The bytes of the called modules' weights; a tensor that two share counts once, a table that is looked up not."""
    sizes = {
        weight.data_ptr(): int(weight.nbytes * _share_read(module, name, weight))
        for name, part in module.named_modules()
        if name in called and not isinstance(part, nn.Embedding)
        for weight in part.parameters(recurse=False)
    }
    return sum(sizes.values())


def _share_read(module: Any, name: str, weight: Tensor) -> float:
    """The share of a tensor that one token needs: of experts that are stored as one tensor only the active ones."""
    if weight.ndim < 3 and not name.endswith(".experts"):
        return 1.0
    config = module.config.get_text_config(decoder=True)
    active = next((value for value in (getattr(config, key, None) for key in _ACTIVE_EXPERTS) if value), 1)
    return min(active / weight.shape[0], 1.0)
