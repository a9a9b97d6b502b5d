from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from draftwise.decoding.random import Stream
from draftwise.decoding.types import Context, Draft, Sampling
from draftwise.verifiers.rejection import RejectionVerifier, judge_greedy

VOCAB = 4
SAMPLED = Sampling(1.0)


class Numbered(Context):
    """A context whose random numbers are given."""

    accept: list[list[float]]
    next: list[float]

    def uniforms(self, stream: Stream, count: int, first: int = 0) -> Tensor:
        given = [[number] for number in self.next] if stream is Stream.NEXT else self.accept
        return torch.tensor(given, dtype=torch.float64)[:, first : first + count]


def context(accept: list[list[float]], following: list[float], sampling: Sampling = SAMPLED) -> Numbered:
    rows = len(following)
    zeros = torch.zeros(rows, dtype=torch.int64)
    made = Numbered(zeros[:, None].expand(-1, 9), zeros + 2, zeros + 7, zeros, sampling, 2, 512)
    made.accept, made.next = accept, following
    return made


def logits_of(*p: list[float]) -> Tensor:
    return torch.tensor(p, dtype=torch.float64).log()


def peaks(*tokens: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(tokens), VOCAB).float()


P = logits_of([0.5, 0.25, 0.25, 0.0], [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 1.0])
Q = torch.tensor([[0.25, 0.5, 0.0, 0.25], [0.4, 0.3, 0.2, 0.1]], dtype=torch.float64)
LAST_BELOW_ONE = 1 - 2.0**-53


def judge(tokens: list[int], accept: list[float], following: float, length: int = 2) -> tuple[int, int]:
    draft = Draft(torch.tensor([tokens]), torch.tensor([length]), Q[None])
    verdict = RejectionVerifier().judge(context([accept], [following]), draft, P[None])
    return int(verdict.accepted), int(verdict.next_token)


def test_a_likelier_token_is_kept_by_every_number() -> None:
    assert judge([0, 2], [LAST_BELOW_ONE, LAST_BELOW_ONE], 0.0) == (2, 3)


def test_a_less_likely_token_is_kept_just_below_its_ratio_and_refused_at_it() -> None:
    assert judge([1, 2], [math.nextafter(0.5, 0), 0.0], 0.0)[0] == 2
    assert judge([1, 2], [0.5, 0.0], 0.0)[0] == 0


def test_a_token_that_the_target_never_writes_is_refused_even_by_the_number_0() -> None:
    assert judge([3, 2], [0.0, 0.0], 0.0)[0] == 0


def test_a_refused_token_is_replaced_from_the_residual_of_its_own_place() -> None:
    # (p - q)+ is [.25, 0, .25, 0] at the first place and [0, 0, .1, .3] at the second.
    assert [judge([1, 2], [0.9, 0.0], number)[1] for number in (0.0, 0.49, 0.51, LAST_BELOW_ONE)] == [0, 0, 2, 2]
    assert [judge([0, 0], [0.0, 0.9], number) for number in (0.0, 0.24, 0.26)] == [(1, 2), (1, 2), (1, 3)]


def test_nothing_after_a_refused_token_counts() -> None:
    assert judge([1, 2], [0.9, 0.0], 0.0)[0] == 0


def test_padding_is_never_accepted_and_the_target_itself_follows_a_short_draft() -> None:
    assert judge([0, 2], [0.0, 0.0], 0.05, length=1) == (1, 0)  # 0 has no mass in the second place's residual
    assert judge([0, 2], [0.0, 0.0], 0.6, length=0) == (0, 1)


def test_rows_are_judged_by_themselves() -> None:
    cases = [
        ([0, 2], [0.3, 0.3], 0.2, 2),
        ([1, 2], [0.9, 0.0], 0.9, 2),
        ([0, 0], [0.0, 0.9], 0.1, 2),
        ([0, 2], [0.0, 0.0], 0.7, 1),
    ]
    tokens, accept, following, lengths = (list(column) for column in zip(*cases, strict=True))
    draft = Draft(torch.tensor(tokens), torch.tensor(lengths), Q.expand(4, -1, -1))
    verdict = RejectionVerifier().judge(context(accept, following), draft, P.expand(4, -1, -1))
    each = [judge(*case) for case in cases]
    assert list(zip(verdict.accepted.tolist(), verdict.next_token.tolist(), strict=True)) == each


def test_without_a_draft_the_target_is_drawn_from() -> None:
    empty = Draft(torch.empty(1, 0, dtype=torch.int64), torch.tensor([0]), None)
    tokens = [
        int(RejectionVerifier().judge(context([[]], [number]), empty, P[None, :1]).next_token)
        for number in (0.0, 0.49, 0.5, 0.74, 0.75, LAST_BELOW_ONE)
    ]
    assert tokens == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("guess", "length", "accepted", "following"),
    [([2, 1, 3], 3, 3, 0), ([2, 1, 0], 3, 2, 3), ([0, 1, 3], 3, 0, 2), ([2, 1, 3], 1, 1, 1), ([2, 1, 3], 0, 0, 2)],
)
def test_greedy_keeps_a_guess_while_it_is_the_argmax(
    guess: list[int], length: int, accepted: int, following: int
) -> None:
    verdict = judge_greedy(Draft(torch.tensor([guess]), torch.tensor([length]), None), peaks(2, 1, 3, 0)[None])
    assert (int(verdict.accepted), int(verdict.next_token)) == (accepted, following)


def test_greedy_takes_the_lowest_id_on_a_tie_and_refuses_the_others() -> None:
    logits = torch.tensor([[[1.0, 3.0, 3.0, 3.0], [2.0, 2.0, 2.0, 2.0]]])
    for guess, verdict in ((1, (1, 0)), (2, (0, 1)), (3, (0, 1))):
        got = judge_greedy(Draft(torch.tensor([[guess]]), torch.tensor([1]), None), logits)
        assert (int(got.accepted), int(got.next_token)) == verdict
