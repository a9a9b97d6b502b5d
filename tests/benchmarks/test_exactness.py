from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.exactness import run as running
from benchmarks.exactness.check import Difference, Outcome, Way, check, ways
from benchmarks.exactness.guesses import Guesses
from benchmarks.exactness.prompts import Item, read_items
from benchmarks.exactness.run import DTYPES, Job, check_engine, run
from benchmarks.exactness.table import table_lines
from draftwise import Engine
from draftwise.decoding.types import Round
from draftwise.errors import DraftwiseError
from draftwise.models.backends import BACKENDS
from draftwise.models.protocol import BackendFacts
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
        Outcome(Way("none", 1), 2000, 2000, None, 0, 0, 1.0),
        Outcome(Way("model", 1, 4), 2000, 1999, Difference("qa-001", 3, 17, -1), 900, 700, 1.0),
    ]
    heads, plain, sampled, accepted, first = table_lines(outcomes)
    assert heads.split() == ["equal", "ids,", "%", "as", "γ", "4"]
    assert plain.split() == ["as,", "batch", "1", "100.0"]
    assert sampled.split()[-1] == "99.9"
    assert accepted == "  sps, its draft: 700 of 900 drafted tokens accepted"
    assert first == "  sps, its draft γ 4, batch 1: 1 differ, first qa-001 at token 3: 17 plainly, -1 here"


@pytest.mark.parametrize(("linear", "promises", "holds"), [
    (row_by_row, True, True),
    (another_order_for_several, True, False),
    (another_order_for_several, False, True),
])  # fmt: skip
def test_a_promise_that_is_not_kept_is_told_and_fails(
    monkeypatch: pytest.MonkeyPatch, linear: Callable[[Tensor, Tensor], Tensor], promises: bool, holds: bool
) -> None:
    engine, said = near_tied(linear), []
    engine.target.backend = BackendFacts("planted", promises)  # type: ignore[misc]
    monkeypatch.setattr(running, "_load", lambda job, backend, dtype, say: engine)
    monkeypatch.setattr(running, "read_items", lambda *_: ITEMS)
    job = Job(dtypes=("bfloat16",), backends=("planted",), gammas=(1, 4), batches=(1,), new_tokens=20)
    assert run(job, said.append) is holds
    assert said[0].startswith(f"planted, bfloat16, {'exact' if promises else 'not said to be exact'}: 12 prompts")
    assert any(" differ, first p" in line for line in said) == (linear is another_order_for_several)


def test_equal_ids_without_any_draft_show_nothing() -> None:
    idle = Outcome(Way("model", 1, 4), 10, 10, None, 0, 0, 1.0)
    assert not idle.holds and replace(idle, drafted=40).holds
    assert Outcome(Way("none", 1), 10, 10, None, 0, 0, 1.0).holds
    assert "nothing was drafted" in list(table_lines([idle]))[-1]


def test_a_check_of_nothing_fails() -> None:
    assert run(Job(dtypes=()), print) is False


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_exact_backends_are_exact(backend: str, dtype: str) -> None:
    """A few prompts; the command checks them all."""
    try:
        engine = Engine.load(backend=backend, dtype=dtype)
    except DraftwiseError as error:
        pytest.skip(str(error))
    if not engine.target.backend.exact:
        pytest.skip("it is not said to be exact")
    said: list[str] = []
    spec_bench = SPEC_BENCH if SPEC_BENCH.is_file() else None
    job = Job(limit=1, spec_bench=spec_bench, longest=60, gammas=(2, 8), new_tokens=12)
    assert check_engine(engine, job, backend, said.append), said


@pytest.mark.skipif(not SPEC_BENCH.is_file(), reason="the sample of Spec-Bench isn't here")
def test_prompts_of_both_suites_fit_the_context() -> None:
    engine = Engine.load()
    items = read_items(engine, OPTIONS, spec_bench=SPEC_BENCH)
    assert len(items) == 160 + 48 and len({item.name for item in items}) == 208
    sizes = [len(item.ids) for item in items]
    assert sizes == sorted(sizes) and sizes[-1] <= engine.target.max_positions - OPTIONS.max_new_tokens
    assert max(len(item.ids) for item in read_items(engine, OPTIONS, 2, SPEC_BENCH, longest=50)) == 50
