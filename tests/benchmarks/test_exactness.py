from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.exactness import run as running
from benchmarks.exactness.check import Difference, Outcome, Way, check, ways
from benchmarks.exactness.guesses import Guesses
from benchmarks.exactness.prompts import Item, read_items
from benchmarks.exactness.run import Job, run
from benchmarks.exactness.table import table_lines
from draftwise import Engine
from draftwise.decoding.types import Round
from draftwise.options import DecodingOptions
from toys import Toy, cousin

SPEC_BENCH = Path(__file__).parents[3] / "shared" / "data" / "spec-bench-sample.jsonl"
HIDDEN, VOCAB = 96, 64
OPTIONS = DecodingOptions(max_new_tokens=20)
ITEMS = [Item(f"p{first}", (first, 7, first % 5)) for first in range(12)]


def row_by_row(x: Tensor, weight: Tensor) -> Tensor:
    """Each row by itself, so that its bits can't depend on how many there are."""
    return torch.cat([x[row : row + 1] @ weight.t() for row in range(x.shape[0])])


def another_order_for_several(x: Tensor, weight: Tensor) -> Tensor:
    """Planted: more than one row is summed in two halves."""
    if x.shape[0] == 1:
        return x @ weight.t()
    half = x.shape[1] // 2
    return x[:, :half] @ weight[:, :half].t() + x[:, half:] @ weight[:, half:].t()


def another_order_in_a_batch(x: Tensor, weight: Tensor) -> Tensor:
    """Planted: only passes as wide as a batch of four are."""
    return another_order_for_several(x, weight) if x.shape[0] % 4 == 0 else row_by_row(x, weight)


@dataclass
class NearTied(Toy):
    """A toy whose logits are a matrix product in bfloat16 with rows in pairs that lie within a rounding."""

    head: Tensor = field(default_factory=lambda: torch.empty(0))
    linear: Callable[[Tensor, Tensor], Tensor] = row_by_row

    @property
    def vocab_size(self) -> int:
        return self.head.shape[0]

    def forward(self, tokens: Tensor, starts: Tensor, cache: Tensor, *, span: int, keep: int) -> Tensor:
        hidden = super().forward(tokens, starts, cache, span=span, keep=keep)
        rows = hidden.reshape(-1, self.table.shape[1])
        return self.linear(rows, self.head).view(*hidden.shape[:2], -1).float() if keep else hidden


def near_tied(linear: Callable[[Tensor, Tensor], Tensor]) -> Engine:
    generator = torch.Generator().manual_seed(3)
    table = torch.randn(509, HIDDEN, generator=generator).bfloat16()
    half = torch.randn(VOCAB // 2, HIDDEN, generator=generator)
    twins = half + 0.01 * torch.randn(half.shape, generator=generator)
    target = NearTied(table, head=torch.cat((half, twins)).bfloat16(), linear=linear)
    draft = cousin(Toy(torch.randn(509, VOCAB, generator=generator)), 0.5)
    return Engine(target, draft)  # type: ignore[arg-type]


def outcomes_of(linear: Callable[[Tensor, Tensor], Tensor]) -> dict[Way, Outcome]:
    wanted = list(ways((1, 3, 8), (1, 4)))
    return {outcome.way: outcome for outcome in check(near_tied(linear), ITEMS, OPTIONS, wanted)}


def test_a_kernel_that_works_row_by_row_is_found_exact() -> None:
    found = outcomes_of(row_by_row)
    assert len(found) == 2 * (1 + 2 * 3)
    assert all(outcome.equal == outcome.prompts == len(ITEMS) for outcome in found.values())
    assert all(outcome.first is None for outcome in found.values())


def test_planted_a_kernel_that_sums_several_rows_in_another_order_is_caught() -> None:
    found = outcomes_of(another_order_for_several)
    alone = {way: outcome for way, outcome in found.items() if way.batch == 1 and way.draft != "none"}
    assert any(outcome.equal < outcome.prompts and outcome.first for outcome in alone.values())


def test_planted_a_kernel_that_minds_its_neighbours_is_caught() -> None:
    found = outcomes_of(another_order_in_a_batch)
    assert found[Way("none", 1)].equal < len(ITEMS), "the reference run's batches are as wide, and a row alone isn't"


def test_guesses_are_right_and_wrong_in_every_pattern() -> None:
    engine = near_tied(row_by_row)
    prompts = [list(item.ids) for item in ITEMS]
    plain = engine.generate(prompts, method="as", max_new_tokens=20)
    texts = [[*prompt, *answer.tokens] for prompt, answer in zip(prompts, plain, strict=True)]
    answers = Engine(engine.target, Guesses(engine.target, texts, 0.5)).generate(prompts, gamma=4, max_new_tokens=20)
    assert [answer.tokens for answer in answers] == [answer.tokens for answer in plain]
    assert {item.accepted for answer in answers for item in answer.rounds} == {0, 1, 2, 3, 4}
    knowing = Engine(engine.target, Guesses(engine.target, texts, 1.0)).generate(prompts, gamma=4, max_new_tokens=20)
    assert all(answer.rounds == (Round(4, 4, 5),) * 4 for answer in knowing)


def test_the_table_cuts_shares_and_names_the_first_difference() -> None:
    outcomes = [
        Outcome(Way("none", 1), 2000, 2000, None, 1.0),
        Outcome(Way("model", 1, 4), 2000, 1999, Difference("qa-001", 3, 17, -1), 1.0),
    ]
    heads, plain, sampled, first = table_lines(outcomes)
    assert heads.split() == ["equal", "ids,", "%", "as", "γ", "4"]
    assert plain.split() == ["as,", "batch", "1", "100.0"]
    assert sampled.split()[-1] == "99.9"
    assert first == "  sps, its draft γ 4, batch 1: 1 differ, first qa-001 at token 3: 17 plainly, -1 here"


@pytest.mark.skipif(not SPEC_BENCH.is_file(), reason="the sample of Spec-Bench isn't here")
def test_prompts_of_both_suites_fit_the_context() -> None:
    engine = Engine.load()
    items = read_items(engine, OPTIONS, spec_bench=SPEC_BENCH)
    assert len(items) == 160 + 48 and len({item.name for item in items}) == 208
    sizes = [len(item.ids) for item in items]
    assert sizes == sorted(sizes) and sizes[-1] <= engine.target.max_positions - OPTIONS.max_new_tokens
    assert max(len(item.ids) for item in read_items(engine, OPTIONS, 2, SPEC_BENCH, longest=50)) == 50
