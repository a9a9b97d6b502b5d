from __future__ import annotations

from collections import Counter

import pytest

from draftwise.tasks import SUBTASKS, Prompt, load_suite, score


@pytest.fixture(scope="module")
def prompts() -> tuple[Prompt, ...]:
    return load_suite("builtin").prompts


def test_every_subtask_has_at_least_twenty_prompts(prompts: tuple[Prompt, ...]) -> None:
    counts = Counter(prompt.subtask for prompt in prompts)
    assert all(counts[subtask] >= 20 for subtask in SUBTASKS), counts


def test_every_turn_has_a_reference_that_scores_full_marks(prompts: tuple[Prompt, ...]) -> None:
    for prompt in prompts:
        assert len(prompt.references) == len(prompt.turns) > 0
        for turn, reference in enumerate(prompt.references):
            assert score(prompt.subtask, reference, reference, prompt.fields_of(turn)) == 1.0, prompt.id


def test_anothers_reference_scores_less(prompts: tuple[Prompt, ...]) -> None:
    for subtask in SUBTASKS:
        own = [prompt for prompt in prompts if prompt.subtask == subtask]
        scores = [
            score(subtask, other.references[0], prompt.references[0], prompt.fields_of(0))
            for prompt, other in zip(own, own[1:] + own[:1], strict=True)
        ]
        assert sum(scores) / len(scores) < 0.8, subtask


def test_conversations_have_two_turns(prompts: tuple[Prompt, ...]) -> None:
    assert all(len(prompt.turns) == 2 for prompt in prompts if prompt.subtask == "multi-turn")
