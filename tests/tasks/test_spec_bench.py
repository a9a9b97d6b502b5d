from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt, SuiteSource, load_suite, score_answer, subtasks_of
from draftwise.tasks.spec_bench import MT_BENCH, read_question

SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "spec-bench-sample.jsonl"


def question(**changes: object) -> Prompt:
    return read_question({"question_id": 81, "category": "writing", "turns": ["One?", "Two?"]} | changes, 1)


@pytest.mark.parametrize(
    "category", ["writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"]
)
def test_the_categories_of_mt_bench_are_multi_turn(category: str) -> None:
    assert len(MT_BENCH) == 8
    assert question(category=category) == Prompt("81", "multi-turn", ("One?", "Two?"))


def test_every_other_category_is_a_subtask() -> None:
    for category in ("translation", "summarization", "qa", "math_reasoning", "rag", "poetry"):
        assert question(category=category).subtask == category


@pytest.mark.parametrize(
    ("reference", "answers"),
    [
        (["1", "2"], [("1",), ("2",)]),
        (["1", ""], [("1",), ()]),
        (["1"], [("1",), ()]),
        ("1", [("1",), ()]),
        ([["1", "one"], "2"], [("1", "one"), ("2",)]),
        ([], [(), ()]),
        (None, [(), ()]),
    ],
)
def test_references_come_in_many_shapes(reference: object, answers: list[tuple[str, ...]]) -> None:
    found = question(reference=reference)
    assert [found.answers(turn) for turn in range(2)] == answers


@pytest.mark.parametrize("reference", [["Italy", "the Italian Campaign"], [["Italy", "the Italian Campaign"]]])
def test_several_answers_to_one_question_are_equally_right(reference: object) -> None:
    found = question(category="rag", turns=["Where?"], reference=reference)
    assert score_answer(found, 0, "the italian campaign") == score_answer(found, 0, "Italy.") == 1.0
    assert score_answer(found, 0, "France") == 0.0
    assert score_answer(question(), 0, "anything") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"question_id": None}, "question_id must be text or a number"),
        ({"category": None}, "category must be text"),
        ({"category": 5}, "category must be text"),
        ({"turns": "One?"}, "turns must be a list"),
        ({"turns": None}, "neither"),
        ({"reference": 5}, "reference must be"),
        ({"reference": ["1", "2", "3"]}, "3 references for 2 turns"),
        ({"reference": ["1", 2]}, "reference 2 must be text"),
    ],
)
def test_a_wrong_type_is_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(DraftwiseError, match=words):
        question(**changes)


def test_a_line_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "question.jsonl"
    path.write_text(json.dumps({"prompt": "Hello?"}), "utf-8")
    with pytest.raises(DraftwiseError, match="line 1: it has no turns, so it is no question of Spec-Bench"):
        load_suite(SuiteSource("spec-bench", str(path)))


@pytest.mark.skipif(not SAMPLE.is_file(), reason="the sample of Spec-Bench isn't here")
def test_the_sample_loads_whole() -> None:
    suite = load_suite(SuiteSource("spec-bench", str(SAMPLE)))
    wanted = ["multi-turn", "translation", "summarization", "qa", "math_reasoning", "rag"]
    assert subtasks_of(suite.prompts) == wanted and suite.skipped == ()
    assert Counter(prompt.subtask for prompt in suite.prompts) == dict.fromkeys(wanted, 8)
    assert all((len(prompt.turns) == 2) == (prompt.subtask == "multi-turn") for prompt in suite.prompts)
    for prompt in suite.prompts:
        for turn in range(len(prompt.turns)):
            for answer in prompt.answers(turn):
                assert score_answer(prompt, turn, answer) == 1.0, prompt.id
    assert sum(len(prompt.alternatives) for prompt in suite.prompts) == 3
