"""The prompts that ship: enough of them, of the lengths that are promised, and each with a right answer."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from draftwise.tasks import SUBTASKS, Prompt, load_suite, score_answer, subtasks_of
from draftwise.tasks.scoring import field_recall, words

LENGTHS = {"rag": (400, 900), "summarization": (400, 900), "law analytics": (150, 500)}
"""Words of the text that a prompt is about, from and to."""


@pytest.fixture(scope="module")
def prompts() -> tuple[Prompt, ...]:
    return load_suite("standard").prompts


def named(faults: list[str]) -> str:
    return f"{len(faults)} faults: {'; '.join(faults[:8])}"


def test_every_subtask_has_at_least_twenty_prompts(prompts: tuple[Prompt, ...]) -> None:
    assert tuple(subtasks_of(prompts)) == SUBTASKS
    counts = Counter(prompt.subtask for prompt in prompts)
    assert all(counts[subtask] >= 20 for subtask in SUBTASKS), counts


def test_every_turn_has_one_reference(prompts: tuple[Prompt, ...]) -> None:
    faults = [prompt.id for prompt in prompts if not all(prompt.reference(turn) for turn in range(len(prompt.turns)))]
    assert not faults, named(faults)


def test_ids_say_where_a_prompt_belongs(prompts: tuple[Prompt, ...]) -> None:
    pattern = {subtask: re.compile("standard-" + re.sub(r"[ _]", "-", subtask) + r"-\d+") for subtask in SUBTASKS}
    faults = [prompt.id for prompt in prompts if not pattern[prompt.subtask].fullmatch(prompt.id)]
    assert not faults, named(faults)


def test_no_two_prompts_begin_alike(prompts: tuple[Prompt, ...]) -> None:
    texts = Counter(words_of(turn) for prompt in prompts for turn in prompt.turns)
    assert max(texts.values()) == 1, [text for text, count in texts.items() if count > 1]
    starts = Counter(prompt.turns[0][:60] for prompt in prompts)
    faults = [f"{count} × {start!r}" for start, count in starts.items() if count > 1]
    assert not faults, named(faults)


def words_of(text: str) -> str:
    return " ".join(words(text))


def test_conversations_have_two_turns_and_nothing_else_has(prompts: tuple[Prompt, ...]) -> None:
    for prompt in prompts:
        assert len(prompt.turns) == (2 if prompt.subtask == "multi-turn" else 1), prompt.id


@pytest.mark.parametrize("subtask", LENGTHS)
def test_long_prompts_are_as_long_as_promised(prompts: tuple[Prompt, ...], subtask: str) -> None:
    low, high = LENGTHS[subtask]
    lengths = {prompt.id: len(text_of(prompt).split()) for prompt in prompts if prompt.subtask == subtask}
    faults = [f"{name} has {count} words" for name, count in lengths.items() if not low <= count <= high]
    assert not faults, named(faults)


def text_of(prompt: Prompt) -> str:
    """What stands between the instruction, which is the first paragraph, and the question, which is the last."""
    instruction, *text, question = prompt.turns[0].split("\n\n")
    assert len(instruction.split()) < 60 > len(question.split()), prompt.id
    return "\n".join(text)


def test_the_text_is_plain(prompts: tuple[Prompt, ...]) -> None:
    """Signs that a tokenizer of any model knows, but for the letters of what is to be translated."""
    foreign = re.compile(r"[^\n\x20-\x7e]")
    letters = re.compile(r"[^\n\x20-\x7e\u00a1-\u00ff\u0152\u0153\u20ac]")
    faults = []
    for prompt in prompts:
        for text in (*prompt.turns, *prompt.references, *(field for turn in prompt.fields for field in turn)):
            odd = (letters if prompt.subtask == "translation" else foreign).search(text)
            if odd:
                faults.append(f"{prompt.id}: {odd[0]!a}")
            # two spaces may stand at the start of a line of code, and before a comment in it
            if text != text.strip() or re.search(r" \n|\n{3}|(?<=[^\n ])  (?=[^\s#])", text):
                faults.append(f"{prompt.id}: white space")
    assert not faults, named(faults)


def test_fields_stand_in_the_reference_as_whole_words(prompts: tuple[Prompt, ...]) -> None:
    faults = [
        f"{prompt.id}: {field!r}"
        for prompt in prompts
        for turn, reference in enumerate(prompt.references)
        for field in prompt.fields_of(turn)
        if field_recall(reference, [field]) < 1
    ]
    assert not faults, named(faults)


def test_a_right_answer_scores_full_marks_and_anothers_does_not(prompts: tuple[Prompt, ...]) -> None:
    for subtask in SUBTASKS:
        own = [prompt for prompt in prompts if prompt.subtask == subtask]
        for prompt in own:
            for turn, reference in enumerate(prompt.references):
                assert score_answer(prompt, turn, " " + reference) == 1.0, prompt.id
        wrong = [score_answer(prompt, 0, other.references[0]) for prompt, other in zip(own, own[1:], strict=False)]
        assert sum(value or 0.0 for value in wrong) / len(wrong) < 0.4, subtask


def test_sums_end_in_their_result(prompts: tuple[Prompt, ...]) -> None:
    faults = [
        prompt.id
        for prompt in prompts
        if prompt.subtask == "math_reasoning" and not re.search(r"\d[\d,.]*\.?$", prompt.references[-1])
    ]
    assert not faults, named(faults)


def test_a_summary_is_shorter_than_its_text_and_in_its_own_words(prompts: tuple[Prompt, ...]) -> None:
    for prompt in prompts:
        if prompt.subtask == "summarization":
            text, summary = prompt.turns[0], prompt.references[0]
            assert len(summary.split()) < len(text.split()) / 3, prompt.id
            assert words_of(summary) not in words_of(text), prompt.id


def test_what_is_to_be_corrected_is_wrong(prompts: tuple[Prompt, ...]) -> None:
    for prompt in prompts:
        if prompt.subtask == "grammar correction":
            assert prompt.references[0] not in prompt.turns[0], prompt.id


def test_an_answer_does_not_stand_ready_in_front_of_the_model(prompts: tuple[Prompt, ...]) -> None:
    faults = [
        prompt.id
        for prompt in prompts
        for turn, reference in zip(prompt.turns, prompt.references, strict=True)
        if prompt.subtask in ("multi-turn", "translation", "math_reasoning", "law analytics", "qa")
        and words_of(reference) in words_of(turn)
    ]
    assert not faults, named(faults)
