from __future__ import annotations

import pytest
import torch

from draftwise import Engine
from draftwise.decoding.loop import Commit, commit, read
from draftwise.decoding.types import Context, Draft, Round, Sampling, Verdict
from draftwise.generation import Generation
from draftwise.starting import prefill, start
from toys import cousin, toy

CPU = torch.device("cpu")
NONE = torch.empty(0, dtype=torch.int64)
PROMPTS = [[5, 7, 2], [7], [1, 2, 3, 4, 5, 6], [3, 0]]


def one_row(limit: int = 9) -> Context:
    return start([[1, 2]], [0], Sampling(), max_new_tokens=limit, slack=6, chunk=512, device=CPU)


def committed(tokens: list[int], accepted: int, following: int, stops: list[int], limit: int = 9) -> tuple:
    context = one_row(limit)
    draft = Draft(torch.tensor([tokens], dtype=torch.int64), torch.tensor([len(tokens)]), None)
    verdict = Verdict(torch.tensor([accepted]), torch.tensor([following]))
    outcome = commit(context, draft, verdict, torch.tensor(stops, dtype=torch.int64))
    (new,) = read([column.tolist() for column in outcome])
    assert new is not None
    assert context.ids[0, 2 : int(context.lengths)].tolist() == list(new.tokens)
    assert int(context.left) == (0 if new.done else limit - len(new.tokens))
    return new.tokens, new.round, new.done


def test_what_stands_and_the_targets_token_are_appended() -> None:
    assert committed([3, 4, 5], 2, 6, []) == ((3, 4, 6), Round(3, 2, 3), False)
    assert committed([3, 4, 5], 3, 6, []) == ((3, 4, 5, 6), Round(3, 3, 4), False)
    assert committed([3, 4, 5], 0, 6, []) == ((6,), Round(3, 0, 1), False)
    assert committed([], 0, 6, []) == ((6,), Round(0, 0, 1), False)


def test_a_stop_token_cuts_the_block_and_the_accepted_count_with_it() -> None:
    assert committed([3, 4, 5], 3, 6, [3]) == ((3,), Round(3, 1, 1), True)
    assert committed([3, 4, 5], 3, 6, [5, 4]) == ((3, 4), Round(3, 2, 2), True)
    assert committed([3, 4, 5], 2, 6, [6]) == ((3, 4, 6), Round(3, 2, 3), True)


def test_a_stop_token_among_the_refused_ones_is_not_seen() -> None:
    assert committed([3, 4, 5], 1, 6, [4, 5]) == ((3, 6), Round(3, 1, 2), False)


def test_id_0_is_a_token_and_can_be_a_stop_token() -> None:
    assert committed([0, 0, 5], 2, 0, []) == ((0, 0, 0), Round(3, 2, 3), False)
    assert committed([3, 0, 5], 3, 0, [0]) == ((3, 0), Round(3, 2, 2), True)


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_the_length_limit_cuts_the_block(limit: int) -> None:
    tokens, account, done = committed([3, 4, 5], 3, 6, [], limit)
    assert tokens == (3, 4, 5, 6)[:limit]
    assert account == Round(3, min(3, limit), limit)
    assert done


def test_a_finished_row_changes_no_more() -> None:
    context = start([[1, 2], [3]], [0, 0], Sampling(), max_new_tokens=5, slack=6, chunk=512, device=CPU)
    context.left[0] = 0
    draft = Draft(torch.tensor([[4, 4], [5, 5]]), torch.tensor([0, 2]), None)
    outcome = commit(context, draft, Verdict(torch.tensor([0, 2]), torch.tensor([6, 6])), NONE)
    assert read([column.tolist() for column in outcome]) == [None, Commit((5, 5, 6), Round(2, 2, 3), False)]
    assert context.lengths.tolist() == [2, 4]
    assert context.left.tolist() == [0, 2]


def test_a_prefill_of_single_tokens_runs_no_pass() -> None:
    model = toy(8)
    context = start([[3], [4]], [0, 0], Sampling(), max_new_tokens=5, slack=1, chunk=512, device=CPU)
    prefill(model, context)
    assert model.passes == []


def answers_of(method: str, **options: object) -> tuple[list[Generation], Engine]:
    target = toy(8, seed=1)
    engine = Engine(target, cousin(target, 0.8))
    return engine.generate(PROMPTS, method=method, **options), engine


@pytest.mark.parametrize("method", ["as", "sps", "bild"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("limit", [1, 2, 5, 17])
@pytest.mark.parametrize("stops", [[], [3], [0, 5]])
def test_the_account_of_every_round_adds_up(method: str, temperature: float, limit: int, stops: list[int]) -> None:
    for seed in range(6):
        answers, engine = answers_of(
            method, temperature=temperature, max_new_tokens=limit, stop_token_ids=stops, gamma=4, seed=seed
        )
        for answer in answers:
            left = limit
            assert sum(item.emitted for item in answer.rounds) == len(answer.tokens) <= limit
            for item in answer.rounds:
                assert 0 <= item.accepted <= item.drafted <= left - 1
                assert 1 <= item.emitted <= item.accepted + 1
                left -= item.emitted
            for item in answer.rounds[:-1]:
                assert item.emitted == item.accepted + 1
            assert (left == 0 and answer.finish_reason == "length") or answer.tokens[-1] in stops
            assert not set(answer.tokens[:-1]) & set(stops)
        assert len(engine.target.passes) == max(len(answer.rounds) for answer in answers)  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["as", "sps", "bild"])
def test_one_row_takes_one_target_pass_a_round(method: str) -> None:
    target = toy(8, seed=1)
    answer = Engine(target, cousin(target, 0.8)).generate([1, 2], method=method, max_new_tokens=20)
    assert target.passes == [item.drafted + 1 for item in answer.rounds]


def test_plain_decoding_has_an_acceptance_length_of_1_and_no_rate() -> None:
    for answer in answers_of("as", max_new_tokens=9)[0]:
        assert answer.acceptance_length == 1.0
        assert answer.acceptance_rate is None
        assert answer.rounds == (Round(0, 0, 1),) * 9


def test_a_figure_of_acceptance_follows_from_the_rounds() -> None:
    for answer in answers_of("sps", max_new_tokens=30)[0]:
        assert answer.acceptance_length == len(answer.tokens) / len(answer.rounds) > 1
        assert answer.acceptance_rate == pytest.approx(
            sum(item.accepted for item in answer.rounds) / sum(item.drafted for item in answer.rounds)
        )


@pytest.mark.parametrize("method", ["sps", "bild"])
def test_a_draft_beyond_the_length_limit_asks_for_no_memory(method: str) -> None:
    """γ is capped by what is left to the limit, so a huge γ may not make the caches huge."""
    target = toy(8, seed=1)
    draft = cousin(target, 0.8)
    options = {"sps": {"gamma": 100_000}, "bild": {"max_draft_tokens": 100_000}}[method]
    answer = Engine(target, draft).generate([1, 2], method=method, max_new_tokens=10, **options)
    assert (
        answer.tokens[:3] == Engine(target, draft).generate([1, 2], method=method, max_new_tokens=3, **options).tokens
    )
    assert max(target.capacities + draft.capacities) <= 2 + 2 * 10
