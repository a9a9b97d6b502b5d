"""A round of fixed shapes is decided by tensors alone: it runs on a device that holds no numbers for a host to read."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from draftwise.decoding.loop import Outcome, advance
from draftwise.decoding.types import Context, Sampling
from draftwise.drafters.small_model import SmallModelDrafter
from draftwise.methods import find_method
from draftwise.models.loading import load_model
from draftwise.models.own import Transformer
from draftwise.options import DecodingOptions

META = torch.device("meta")
PLACES = 64


def moved(part: Any) -> Any:
    """Weights, or a part of them, on the device without numbers."""
    if isinstance(part, Tensor):
        return part.to(META)
    if is_dataclass(part) and not isinstance(part, type):
        return type(part)(**{item.name: moved(getattr(part, item.name)) for item in fields(part)})
    if isinstance(part, tuple):
        parts = [moved(item) for item in part]
        return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)
    return part


@pytest.fixture(scope="module")
def model(opt_pair: tuple[Path, Path]) -> Transformer:
    real = load_model(opt_pair[0], backend="plain")
    assert isinstance(real, Transformer)
    return Transformer(real.architecture, moved(real._weights), (2,))


def one_round(model: Transformer, method: str, batch: int, stops: int, **options: Any) -> Outcome:
    settings, row = DecodingOptions(max_new_tokens=20, max_draft_tokens=5, **options), find_method(method)
    drafter = row.drafter(model, settings, torch.arange(stops))
    if isinstance(drafter, SmallModelDrafter):
        drafter.stops = drafter.stops.to(META)
        drafter.cache = model.new_cache(batch, PLACES)
    ids, column = (torch.zeros(*size, dtype=torch.int64, device=META) for size in ((batch, PLACES), (batch,)))
    sampling = Sampling(settings.temperature, settings.top_k, settings.top_p)
    columns = [column.clone() for _ in range(3)]
    context = Context(ids, *columns, sampling, longest=PLACES - drafter.most, chunk=9, fresh=False, width=drafter.most)
    cache = model.new_cache(batch, PLACES)
    _, outcome = advance(model, cache, drafter, row.verifier(settings), context, torch.zeros(stops, device=META).long())
    assert outcome.block.shape == (batch, drafter.most + 1)
    return outcome


@pytest.mark.parametrize("method", ["as", "sps", "bild"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("stops", [0, 1, 2])
def test_no_round_reads_a_number(model: Transformer, method: str, temperature: float, batch: int, stops: int) -> None:
    one_round(model, method, batch, stops, temperature=temperature)


def test_not_even_with_top_k_and_top_p(model: Transformer) -> None:
    for method in ("as", "sps", "bild"):
        one_round(model, method, 2, 1, temperature=0.7, top_k=5, top_p=0.9)


@pytest.mark.parametrize("look", [bool, int, float, Tensor.tolist])
def test_planted_a_host_that_looks_within_a_round_is_caught(
    model: Transformer, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SmallModelDrafter._pass

    def curious(self: SmallModelDrafter, *args: Any) -> Tensor:
        logits = real(self, *args)
        look(logits.sum())
        return logits

    monkeypatch.setattr(SmallModelDrafter, "_pass", curious)
    with pytest.raises((RuntimeError, NotImplementedError), match="[mM]eta"):
        one_round(model, "sps", 1, 1)
