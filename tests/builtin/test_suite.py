import json
from collections import Counter

import pytest

from draftwise.builtin import suite, world


@pytest.fixture(scope="module")
def entries():
    return [json.loads(line) for line in suite.SUITE_FILE.read_text(encoding="utf-8").splitlines()]


def test_the_committed_suite_is_what_the_generator_writes():
    assert suite.SUITE_FILE.read_text(encoding="utf-8") == suite.suite_text()


def test_there_are_at_least_24_prompts_a_subtask_with_ids_of_their_own(entries):
    counts = Counter(entry["subtask"] for entry in entries)
    assert set(counts) == set(world.SUBTASKS)
    assert min(counts.values()) >= 24
    assert len({entry["id"] for entry in entries}) == len(entries)


def test_every_turn_has_a_reference_and_asked_values_that_occur_in_it(entries):
    for entry in entries:
        assert len(entry["turns"]) == len(entry["references"]) == len(entry["fields"])
        for reference, fields in zip(entry["references"], entry["fields"], strict=True):
            assert fields
            assert all(field in reference for field in fields)


def test_chats_have_two_turns_and_all_else_one(entries):
    for entry in entries:
        assert len(entry["turns"]) == (2 if entry["subtask"] == "multi-turn" else 1)
