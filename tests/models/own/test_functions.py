"""The choices that are plain functions, against transformers' own."""

from __future__ import annotations

import pytest
import torch
from transformers.activations import ACT2FN

from draftwise.models.own.functions import ACTIVATIONS, soft_cap


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_equals_that_of_transformers(name: str) -> None:
    x = torch.linspace(-8, 8, 401)
    torch.testing.assert_close(ACTIVATIONS[name](x.clone()), ACT2FN[name](x), atol=1e-5, rtol=1e-5)


def test_a_soft_cap_leaves_small_values_and_holds_large_ones() -> None:
    x = torch.tensor([-1e4, -0.01, 0.0, 0.01, 1e4])
    torch.testing.assert_close(soft_cap(x, 30.0), torch.tensor([-30.0, -0.01, 0.0, 0.01, 30.0]))
