from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from draftwise.decoding.sampling import acceptance, draw, leading, probabilities, residual
from draftwise.decoding.types import Sampling

LAST_BELOW_ONE = 1 - 2.0**-53
INF = math.inf


def tensor(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


def slow_probabilities(logits: list[float], temperature: float, top_k: int, top_p: float) -> list[float]:
    """The same law in plain Python, by its definition."""
    powers = [math.exp((x - max(logits)) / temperature) for x in logits]
    kth = sorted(logits, reverse=True)[top_k - 1] if 0 < top_k < len(logits) else -INF
    powers = [power if x >= kth else 0.0 for power, x in zip(powers, logits, strict=True)]
    p = [power / sum(powers) for power in powers]
    kept, share = [], 0.0
    for token in sorted(range(len(p)), key=lambda token: -p[token]):
        if share >= top_p:
            break
        kept.append(token)
        share += p[token]
    return [p[token] / share if token in kept else 0.0 for token in range(len(p))]


logit_lists = st.lists(st.integers(-160, 160).map(lambda eighths: eighths / 8), min_size=1, max_size=9, unique=True)


@given(logit_lists, st.floats(0.05, 5), st.integers(0, 12), st.floats(0.01, 1))
@settings(max_examples=200, deadline=None)
def test_probabilities_follow_their_definition(logits: list[float], heat: float, top_k: int, top_p: float) -> None:
    got = probabilities(torch.tensor(logits, dtype=torch.float64), Sampling(heat, top_k, top_p)).tolist()
    # A share that falls on the threshold itself may go either way by rounding.
    wanted = [slow_probabilities(logits, heat, top_k, top_p + by) for by in (0.0, 1e-12, -1e-12)]
    assert any(got == pytest.approx(each, abs=1e-11) for each in wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [5e-324, 1e-45, 1e-38, 1e-30, 1e-6])
def test_a_tiny_temperature_puts_all_mass_on_the_largest_logit(temperature: float, dtype: torch.dtype) -> None:
    p = probabilities(tensor(1.0, 1.001, -3.0, -INF, dtype=dtype), Sampling(temperature))
    assert p.tolist() == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("temperature", [1e3, 1e30, 1e38])
def test_a_huge_temperature_makes_all_tokens_equal(temperature: float) -> None:
    p = probabilities(tensor(1.0, 2.0, -3.0, 0.0, dtype=torch.float32), Sampling(temperature))
    assert p.tolist() == pytest.approx([0.25] * 4, abs=2e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [1e3, 1e38, 1e300])
def test_no_temperature_gives_mass_to_what_top_k_or_minus_infinity_rules_out(
    temperature: float, dtype: torch.dtype
) -> None:
    logits = tensor(1.0, 2.0, -INF, 0.0, dtype=dtype)
    assert probabilities(logits, Sampling(temperature)).tolist()[2] == 0.0
    assert probabilities(logits, Sampling(temperature, 1)).tolist() == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("top_k", [4, 5, 50, 10**9, 2**62])
def test_a_top_k_of_the_vocabulary_or_more_changes_nothing(top_k: int) -> None:
    logits = tensor(1.0, 2.0, -3.0, 0.0)
    assert probabilities(logits, Sampling(1.0, top_k)).equal(probabilities(logits, Sampling(1.0)))


def test_ties_at_the_kth_logit_all_stay() -> None:
    assert probabilities(tensor(1.0, 0.0, 1.0, 1.0), Sampling(1.0, 2)).tolist() == pytest.approx(
        [1 / 3, 0, 1 / 3, 1 / 3]
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("top_p", [0.2, 1e-6, 1e-30, 1e-44, 1e-50, 5e-324])
def test_a_tiny_top_p_keeps_the_most_likely_token(top_p: float, dtype: torch.dtype) -> None:
    p = probabilities(tensor(0.0, 0.1, 0.2, 0.15, dtype=dtype), Sampling(1.0, 0, top_p))
    assert p.tolist() == [0.0, 0.0, 1.0, 0.0]


def test_top_p_keeps_one_of_two_equal_tokens_where_one_is_enough() -> None:
    assert probabilities(tensor(0.0, 0.0, -INF), Sampling(1.0, 0, 0.5)).tolist() == [1.0, 0.0, 0.0]


def test_logits_of_minus_infinity_get_no_mass() -> None:
    for sampling in (Sampling(1.0), Sampling(0.5, 3), Sampling(2.0, 0, 0.9), Sampling(1e-40, 2, 0.9)):
        p = probabilities(tensor(-INF, 2.0, -INF, 1.0, dtype=torch.float32), sampling)
        assert p[0] == p[2] == 0
        assert float(p.sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("sampling", [Sampling(1.0), Sampling(0.5, 2), Sampling(1.0, 0, 0.8), Sampling(0.7, 3, 0.6)])
def test_every_row_of_a_batch_is_processed_by_itself(sampling: Sampling) -> None:
    logits = torch.randn(3, 2, 6, generator=torch.Generator().manual_seed(0))
    batch = probabilities(logits, sampling)
    for row in range(3):
        for place in range(2):
            assert batch[row, place].tolist() == pytest.approx(probabilities(logits[row, place], sampling).tolist())


def chosen(p: Tensor, *numbers: float) -> list[int]:
    return draw(p.expand(len(numbers), -1), torch.tensor(numbers, dtype=torch.float64)).tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_token_of_probability_0_is_never_drawn(dtype: torch.dtype) -> None:
    p = tensor(0.0, 0.0, 0.25, 0.0, 0.75, 0.0, 0.0, dtype=dtype)
    numbers = [0.0, 5e-324, 0.25 - 2.0**-54, 0.25, 0.25 + 2.0**-53, LAST_BELOW_ONE]
    assert chosen(p, *numbers) == [2, 2, 2, 4, 4, 4]


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-30, 1e3)), min_size=1, max_size=50).filter(any), st.data())
@settings(max_examples=300, deadline=None)
def test_no_number_draws_a_token_of_probability_0(weights: list[float], data: st.DataObject) -> None:
    number = data.draw(st.one_of(st.sampled_from([0.0, LAST_BELOW_ONE]), st.floats(0, LAST_BELOW_ONE)))
    for dtype in (torch.float32, torch.float64):
        p = torch.tensor(weights, dtype=dtype)
        assert p[chosen(p, number)[0]] > 0
        assert p[chosen(p / p.sum(), number)[0]] > 0


def test_a_draw_inverts_the_cumulative_sum_exactly() -> None:
    p = tensor(0.125, 0.5, 0.0, 0.25, 0.125)
    edges = [0.125, 0.625, 0.875]
    assert chosen(p, *edges) == [1, 3, 4]
    assert chosen(p, *(math.nextafter(edge, 0) for edge in edges)) == [0, 1, 3]
    assert chosen(p * 3, *edges) == chosen(p, *edges)


def test_acceptance_is_the_ratio_and_at_most_1() -> None:
    p, q = tensor(0.5, 0.3, 0.2, 0.0), tensor(0.25, 0.6, 0.05, 0.1)
    each = acceptance(p.expand(4, 4), q.expand(4, 4), torch.arange(4))
    assert each.tolist() == pytest.approx([1.0, 0.5, 1.0, 0.0])


def test_acceptance_survives_the_smallest_numbers_of_float32() -> None:
    p, q = tensor(1.0, 1e-45, dtype=torch.float32), tensor(1.0, 3e-39, dtype=torch.float32)
    assert acceptance(p, q, torch.tensor(1)).item() < 1e-5
    assert acceptance(q, p, torch.tensor(1)).item() == 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_residual_without_mass_is_the_target_itself(dtype: torch.dtype) -> None:
    p = tensor(0.25, 0.75, 0.0, dtype=dtype)
    assert residual(p, p).equal(p)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_residual_of_the_smallest_mass_is_finite_and_can_be_drawn_from(dtype: torch.dtype) -> None:
    p = tensor(0.5, 0.5, 0.0, dtype=dtype)
    for least in (torch.finfo(dtype).smallest_normal, torch.finfo(dtype).tiny / 8):
        q = tensor(0.5, 0.5, 0.0, dtype=dtype)
        rest = residual(p + tensor(0.0, 0.0, least, dtype=dtype), q)
        assert rest.isfinite().all()
        assert chosen(rest, 0.0, 0.5, LAST_BELOW_ONE) == [2, 2, 2]


simplex = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1)), min_size=4, max_size=4).filter(any)


def normal(weights: list[float]) -> Tensor:
    p = torch.tensor(weights, dtype=torch.float64)
    return p / p.sum()


@given(simplex, simplex)
@settings(max_examples=300, deadline=None)
def test_accepting_or_resampling_restores_the_target_exactly(first: list[float], second: list[float]) -> None:
    p, q = normal(first), normal(second)
    tokens = q.nonzero()[:, 0]
    kept = torch.zeros(4, dtype=torch.float64)
    kept[tokens] = q[tokens] * acceptance(p.expand(len(tokens), 4), q.expand(len(tokens), 4), tokens)
    assert (kept + (1 - kept.sum()) * residual(p, q) - p).abs().max() < 1e-12


def test_leading_counts_up_to_the_first_refusal() -> None:
    kept = torch.tensor([[True, True, True], [True, False, True], [False, True, True]])
    assert leading(kept).tolist() == [3, 1, 0]
    assert leading(kept[:, :0]).tolist() == [0, 0, 0]
