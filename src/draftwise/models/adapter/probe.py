"""What only a pass can tell: that a model keeps a cache that can be cut, how wide its logits are, and what it reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

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


class Runner(Protocol):
    """The part of an adapter that runs passes."""

    device: torch.device

    def new_cache(self, batch: int, capacity: int) -> list[Row]:
        """Rows that have seen nothing."""

    def run(self, tokens: Tensor, row: Row, wanted: int) -> Tensor:
        """Logits after one more pass of a row."""


@torch.inference_mode()
def probe(model: Runner, module: Any) -> tuple[int, int]:
    """Run a token, take it back and run it again.

    Returns:
        the width of the logits, and the bytes of the weights that the second pass read.

    Raises:
        DraftwiseError: the model can't take a token back.
    """
    token = torch.zeros(1, 1, dtype=torch.int64, device=model.device)
    (row,) = model.new_cache(1, 2)
    if hasattr(model, "read_sources"):
        model.read_sources([[0]], [row])
    model.run(token, row, 1)
    row.length = 1
    _expect_positions(module, row, 1)
    row.rewind(0)
    _expect_positions(module, row, 0)
    with _recorded(module) as called:
        logits = model.run(token, row, 1)
    return logits.shape[-1], _bytes_read(module, called)


def _expect_positions(module: Any, row: Row, count: int) -> None:
    held = row.cache.get_seq_length()
    if held != count:
        reason = f"its cache holds {held} positions where it should hold {count}"
        raise unrewindable(module.config.name_or_path, module.config, reason)


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
