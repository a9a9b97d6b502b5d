from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from draftwise.decoding.types import Context, Draft, Sampling
from draftwise.verifiers.rollback import RollbackVerifier

P = torch.tensor([[0.6, 0.3, 0.1, 0.0], [0.05, 0.05, 0.1, 0.8], [0.2, 0.2, 0.5, 0.1], [0.1, 0.7, 0.1, 0.1]])

GREEDY = Sampling()


def context(sampling: Sampling = GREEDY) -> Context:
    one = torch.ones(1, dtype=torch.int64)
    return Context(one[:, None].expand(-1, 9), one, one * 8, one, sampling, 1, 512)


def judge(
    guess: list[int], threshold: float, length: int = 3, logits: Tensor | None = None, sampling: Sampling = GREEDY
) -> tuple[int, int]:
    draft = Draft(torch.tensor([guess]), torch.tensor([length]), None)
    logits = P.log()[None] if logits is None else logits
    verdict = RollbackVerifier(threshold).judge(context(sampling), draft, logits[:, : len(guess) + 1])
    return int(verdict.accepted), int(verdict.next_token)


def test_a_draft_without_offender_stands_and_the_targets_next_token_follows() -> None:
    assert judge([0, 3, 2], 1.0) == (3, 1)


@pytest.mark.parametrize(("threshold", "accepted"), [(-math.log(0.3) - 1e-5, 0), (-math.log(0.3) + 1e-5, 3)])
def test_the_threshold_is_in_nats_of_the_guess_under_the_target(threshold: float, accepted: int) -> None:
    assert judge([1, 3, 2], threshold)[0] == accepted


def test_a_place_exactly_at_the_threshold_stands() -> None:
    logits = torch.zeros(1, 2, 4, dtype=torch.float64)
    at_threshold = -logits.log_softmax(-1)[0, 0, 0].item()
    assert judge([0], at_threshold, 1, logits)[0] == 1
    assert judge([0], math.nextafter(at_threshold, 0), 1, logits)[0] == 0


def test_the_first_offender_is_cut_there_and_replaced_by_the_targets_argmax() -> None:
    assert judge([2, 3, 2], 2.0) == (0, 0)
    assert judge([0, 0, 2], 2.0) == (1, 3)
    assert judge([0, 3, 3], 2.0) == (2, 2)
    assert judge([2, 0, 3], 2.0) == (0, 0)


def test_an_offender_in_the_padding_is_not_seen() -> None:
    assert judge([0, 0, 0], 2.0, length=1) == (1, 3)
    assert judge([3, 0, 0], 2.0, length=0) == (0, 0)


def test_an_impossible_guess_stands_only_at_an_infinite_threshold() -> None:
    assert judge([3, 3, 2], 1e30)[0] == 0
    assert judge([3, 3, 2], math.inf)[0] == 3


@pytest.mark.parametrize("sampling", [Sampling(0.1), Sampling(1.0, 1), Sampling(1.0, 0, 0.1), Sampling(50.0)])
def test_the_judgement_is_of_the_raw_logits_whatever_the_sampling(sampling: Sampling) -> None:
    for threshold in (0.5, 1.0, 1.3, 2.5, math.inf):
        assert judge([1, 3, 2], threshold, sampling=sampling)[0] == judge([1, 3, 2], threshold)[0]


def test_no_draft_leaves_the_targets_own_token() -> None:
    assert judge([], 3.0, 0) == (0, 0)
