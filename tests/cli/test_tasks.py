from __future__ import annotations

import pytest
from harness import Run

from draftwise.tasks import METRICS, SUBTASKS, load_suite


def test_tasks_lists_each_subtask_with_its_prompts_and_metric(run: Run) -> None:
    outcome = run("tasks")
    assert outcome.code == 0
    assert "suite builtin" in outcome.out
    for subtask in SUBTASKS:
        line = next(line for line in outcome.out.splitlines() if line.strip().startswith(subtask))
        assert line.split()[-len(METRICS[subtask].split()) :] == METRICS[subtask].split()
        assert str(len(load_suite("builtin", [subtask]).prompts)) in line.split()


@pytest.mark.parametrize("index", [0, 3])
def test_tasks_shows_a_prompt_with_its_reference(run: Run, index: int) -> None:
    prompt = load_suite("builtin", ["multi-turn"]).prompts[index]
    outcome = run("tasks", "multi-turn", "--index", index)
    assert outcome.code == 0
    for text in (*prompt.turns, *prompt.references):
        assert text in outcome.out
