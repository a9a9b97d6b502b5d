from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import ENVIRONMENT, MS, check, settings, traced

from draftwise.analysis.checks import EQUAL, UNKNOWN, CheckTable, first_difference
from draftwise.analysis.tally import SPANS
from draftwise.bench.records import Check, RoundTrace
from draftwise.errors import DraftwiseError

LABELS = ("as", "sps")


def table(*groups: list[Check], labels: tuple[str, ...] = LABELS, **decoding: object) -> CheckTable:
    return CheckTable.of(groups, labels, settings(**decoding), ENVIRONMENT)


def one(rounds: list[RoundTrace], method: str = "sps", **more: object) -> Check:
    """A check whose answer is as long as its rounds say."""
    return check(method=method, tokens=range(sum(item.emitted for item in rounds)), rounds=rounds, **more)


def test_a_row_tells_whose_answer_it_is_and_where_it_leaves_plain_decodings() -> None:
    found = table(
        [check("a", "as", score=0.5), check("a", "sps", score=0.25)],
        [check("b", "as", subtask="rag", turn=1), check("b", "sps", subtask="rag", turn=1, tokens=(0, 1, 7))],
    )
    rows = found.answers
    assert (found.prompts, found.subtasks, found.tasks) == (("a", "b"), ("qa", "rag"), (("a", 0), ("b", 1)))
    assert rows.prompt.tolist() == rows.turn.tolist() == rows.subtask.tolist() == [0, 0, 1, 1]
    assert rows.label.tolist() == [0, 1, 0, 1]
    assert rows.tokens.tolist() == [20, 20, 20, 3]
    assert rows.passes.tolist() == [20, 10, 20, 2]
    assert rows.differs.tolist() == [EQUAL, EQUAL, EQUAL, 2]
    assert rows.score[:2].tolist() == [0.5, 0.25]
    assert rows.baseline_score[:2].tolist() == [0.5, 0.5]
    assert found.rows("rag", "sps").tolist() == [3]
    assert found.rows(None, "sps").tolist() == [1, 3]
    assert found.rows("nowhere", "sps").tolist() == []


def test_the_ids_hash_is_that_of_the_answers_ids() -> None:
    found = table([check("a", "as"), check("a", "sps", tokens=(5, 6))])
    assert found.ids == {("a", 0, "as"): hash(tuple(range(20))), ("a", 0, "sps"): hash((5, 6))}


@pytest.mark.parametrize(
    ("tokens", "others", "place"),
    [((1, 2), (1, 2), EQUAL), ((1, 2), (1, 3), 1), ((1,), (1, 3), 1), ((1, 3), (1,), 1), ((0, 1), (1, 1), 0)],
)
def test_the_first_difference(tokens: tuple[int, ...], others: tuple[int, ...], place: int) -> None:
    assert first_difference(tokens, others) == place


def test_a_group_that_lacks_cells_is_counted_and_compared_with_nothing_that_is_not_there() -> None:
    found = table([check("a", "as"), check("a", "sps")], [check("b", "sps", tokens=(9, 9))])
    assert found.answers.differs.tolist() == [EQUAL, EQUAL, UNKNOWN]
    assert found.missing == 1
    assert found.tally(None, "sps").rounds == 11
    assert found.tally(None, "as").rounds == 20


def test_no_check_at_all_gives_a_table_of_nothing() -> None:
    found = table()
    assert (found.tasks, found.missing, found.tally(None, "as").rounds) == ((), 0, 0)
    assert found.draft_passes() == {"as": 0, "sps": 0}


def test_a_subtask_called_overall_is_a_subtask() -> None:
    found = table([check("a", "as", subtask="overall")], [check("b", "as")])
    assert [found.tally(part, "as").rounds for part in ("overall", None)] == [20, 40]


def test_rounds_are_summed_by_part_and_label() -> None:
    rounds = [traced((1, 2), 2, draft_passes=2, wait_ns=7), traced((3,), 0), traced()]
    found = table([check("a", "as")], [one(rounds, subtask="rag")])
    tally = found.tally("rag", "sps")
    assert (tally.rounds, tally.tokens, tally.drafted, tally.accepted) == (3, 5, 3, 2)
    assert (tally.draft_passes, tally.drafting_rounds, tally.rejections) == (3, 2, 1)
    assert tally.double_feeds == 1  # the first round of a text feeds its first pass one token
    assert dict(zip(SPANS, tally.times.tolist(), strict=True)) == {
        "draft": 3 * MS,
        "verify": 12 * MS,
        "judge": 3 * MS,
        "engine": 3 * MS,
        "wait": 7,
    }
    assert found.tally("qa", "sps").rounds == 0
    assert found.draft_passes() == {"as": 0.0, "sps": 1.0}


def test_batches_of_any_size_give_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [[check(f"p{n}", "as"), check(f"p{n}", "sps", width=1 + n % 4, drafted=4)] for n in range(9)]
    whole = table(*groups).tally(None, "sps")
    monkeypatch.setattr("draftwise.analysis.tally.BATCH", 1)
    parts = table(*groups).tally(None, "sps")
    for left, right in zip(whole, parts, strict=True):
        assert list(left) == list(right) if hasattr(left, "__len__") else left == right


CONTRADICTIONS = {
    "accepted tokens overcounted at a stop token": [RoundTrace((1, 2, 3), 3, 2, 3, 1, 1, 1, 1, 0)],
    "more accepted than drafted": [RoundTrace((1,), 2, 3, 1, 1, 1, 1, 1, 0)],
    "more emitted than one beyond the accepted": [RoundTrace((1,), 1, 3, 1, 1, 1, 1, 1, 0)],
    "nothing emitted": [RoundTrace((), 0, 0, 0, 1, 1, 1, 1, 0)],
    "a text that goes on after it ended within a draft": [traced((1, 2), 2, 2), traced()],
    "no rounds": [],
}


@pytest.mark.parametrize("rounds", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_planted_a_check_that_contradicts_itself_is_refused(rounds: list[RoundTrace]) -> None:
    with pytest.raises(DraftwiseError, match="the check of 'qa-0', turn 0, with 'sps' contradicts itself"):
        table([check(), one(rounds)])


def test_planted_rounds_that_do_not_add_up_to_the_answer_or_pass_the_limit_are_refused() -> None:
    with pytest.raises(DraftwiseError, match="contradicts itself"):
        table([check(method="sps", tokens=(1, 2, 3), rounds=[traced((1,), 1)])])
    rounds = [traced((1,), 1), traced((1,), 1)]
    assert table([one(rounds)], max_new_tokens=4).tally(None, "sps").tokens == 4
    with pytest.raises(DraftwiseError, match="contradicts itself"):
        table([one(rounds)], max_new_tokens=3)


def test_a_check_that_is_there_twice_or_of_an_unknown_cell_is_refused() -> None:
    with pytest.raises(DraftwiseError, match="'qa-0', turn 0, with 'as' is there twice"):
        table([check(), check()])
    with pytest.raises(DraftwiseError, match="with 'bild', which is none of the run's cells: as, sps"):
        table([check(method="bild")])


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=5), max_size=6))
def test_counts_add_up(texts: list[list[tuple[int, int]]]) -> None:
    groups = []
    for number, rounds in enumerate(texts):
        items = [traced(range(drafted), min(drafted, accepted)) for drafted, accepted in rounds]
        groups.append([one(items, prompt=f"p{number}")])
    tally = table(*groups, max_new_tokens=30).tally(None, "sps")
    every = [item for group in groups for item in group[0].rounds]
    assert tally.rounds == tally.by_accepted.sum() == tally.by_drafted.sum() == tally.by_countable.sum() == len(every)
    assert tally.tokens == sum(len(group[0].new_tokens) for group in groups)
    places = range(len(tally.by_accepted))
    assert tally.accepted == sum(tally.by_accepted * places) == sum(item.accepted for item in every)
    assert tally.drafted == sum(tally.by_drafted * places) == sum(len(item.draft) for item in every)
    assert sum(tally.by_countable * places) <= tally.drafted
    assert tally.rejections == sum(item.accepted < len(item.draft) for item in every)
