from __future__ import annotations

import pytest

from draftwise.tasks import METRICS, SUBTASKS, metric_of, score

LONG = "the harbour of Orvel was closed by a storm on Monday"


def test_every_subtask_has_a_metric() -> None:
    assert tuple(METRICS) == SUBTASKS


@pytest.mark.parametrize("subtask", ["multi-turn", "qa", "rag", "law analytics"])
@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (" The capital is North Orvel, on the river Sann.", 1.0),
        (" it lies on the  SANN, in north\norvel", 1.0),
        (" The capital is North Orvel.", 0.5),
        (" The capital is Northern Orvel, on the Sannet.", 0.0),
        ("", 0.0),
    ],
)
def test_fields_must_stand_in_the_answer_as_whole_words(subtask: str, answer: str, value: float) -> None:
    assert score(subtask, answer, "whatever", ("North Orvel", "Sann")) == value


def test_a_field_may_hold_signs_that_mean_something_to_a_pattern() -> None:
    assert score("qa", " It costs 5.50 (net).", "", ("5.50", "(net)")) == 1.0
    assert score("qa", " It costs 5x50.", "", ("5.50",)) == 0.0


def test_without_fields_words_are_compared_as_a_bag() -> None:
    assert score("qa", " Orvel, the capital", "the capital, Orvel.") == 1.0
    assert score("qa", " the capital", "the capital Orvel town") == pytest.approx(2 / 3)
    assert score("qa", " nothing of it", "Orvel") == 0.0
    assert score("qa", "", "Orvel") == 0.0


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (" 3 + 4 = 7, so she has 7.", 1.0),
        (" So the sum is 7.0", 1.0),
        (" 3 + 4 = 8", 0.0),
        (" 7 apples, no: 12", 0.0),
        (" seven", 0.0),
        (" it is -7", 0.0),
        (" room b7", 0.0),
    ],
)
def test_the_last_number_decides_a_sum(answer: str, value: float) -> None:
    assert score("math_reasoning", answer, "3 + 4 = 7. The answer is 7.") == value


def test_a_number_may_have_separators() -> None:
    assert score("math_reasoning", " that makes 1,204.", "1204") == 1.0
    assert score("math_reasoning", " 9-2", "2") == 1.0


@pytest.mark.parametrize("subtask", ["summarization", "translation"])
def test_rouge_falls_with_every_word_that_is_wrong_or_out_of_order(subtask: str) -> None:
    right = score(subtask, f" {LONG}.", LONG)
    swapped = score(subtask, LONG.replace("storm", "Monday", 1), LONG)
    turned = score(subtask, " ".join(reversed(LONG.split())), LONG)
    assert right == 1.0 > swapped > turned > 0.0
    assert score(subtask, " nothing like it", LONG) == 0.0
    assert score(subtask, "", LONG) == 0.0


def test_rouge_keeps_letters_beyond_ascii() -> None:
    assert score("translation", " schön", "schon") == 0.0
    assert score("translation", " Die Brücke ist schön.", "die brücke ist schön") == 1.0


def test_grammar_is_right_or_wrong() -> None:
    assert score("grammar correction", " She  goes home.\n", "She goes home.") == 1.0
    assert score("grammar correction", " She go home.", "She goes home.") == 0.0
    assert score("grammar correction", " she goes home.", "She goes home.") == 0.0


def test_grammar_may_be_set_apart_as_data_sets_do() -> None:
    assert score("grammar correction", " I don't know, it's late.", "I do n't know , it 's late .") == 1.0
    assert score("grammar correction", " I do n't know , it 's late .", "I don't know, it's late.") == 1.0
    assert score("grammar correction", " I know alot.", "I know a lot .") == 0.0


def test_any_other_subtask_is_scored_by_the_words_of_the_answer() -> None:
    assert metric_of("poetry") == "token F1"
    assert score("poetry", " the capital", "the capital Orvel town") == pytest.approx(2 / 3)
    assert score("poetry", " the capital", "the capital Orvel town", ("capital",)) == 1.0
