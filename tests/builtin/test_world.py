import random
from itertools import product

import pytest

from draftwise.builtin import world
from draftwise.builtin.world import facts, rag, sums
from draftwise.builtin.world.base import split_of
from draftwise.tasks.scoring import score

DRAWS = 30
KINDS = [*product(world.SUBTASKS, world.SPLITS)]


def draws(subtask, split, seed=0, count=DRAWS):
    rng = random.Random(seed)
    return [world.sample(subtask, split, rng) for _ in range(count)]


def test_the_world_has_the_eight_subtasks():
    assert world.SUBTASKS == (
        "multi-turn",
        "translation",
        "summarization",
        "qa",
        "math_reasoning",
        "rag",
        "law analytics",
        "grammar correction",
    )


@pytest.mark.parametrize(("subtask", "split"), KINDS)
def test_the_same_seed_draws_the_same_samples(subtask, split):
    assert draws(subtask, split) == draws(subtask, split)
    assert draws(subtask, split) != draws(subtask, split, seed=1)


@pytest.mark.parametrize("subtask", world.SUBTASKS)
def test_no_prompt_of_one_split_occurs_in_another(subtask):
    prompts = {split: {x.turns for x in draws(subtask, split, count=200)} for split in world.SPLITS}
    assert not prompts["train"] & (prompts["dev"] | prompts["test"])
    assert not prompts["dev"] & prompts["test"]


def test_held_out_sums_are_never_trained_on():
    numbers = {split: set() for split in world.SPLITS}
    for split in world.SPLITS:
        for drawn in draws("math_reasoning", split, count=200):
            numbers[split].add(drawn.answers[0].split(". ", 1)[1].rsplit(" So ", 1)[0])
    assert not numbers["train"] & (numbers["dev"] | numbers["test"])
    assert not numbers["dev"] & numbers["test"]


def test_people_asked_about_in_passages_are_new():
    names = {split: set() for split in world.SPLITS}
    for split in world.SPLITS:
        for drawn in draws("rag", split, count=200):
            names[split].add(drawn.answers[0].split(" of ", 1)[1].split(" is ")[0])
    assert not names["train"] & (names["dev"] | names["test"])
    assert not names["dev"] & names["test"]


def test_every_split_gets_its_share():
    counts = {split: 0 for split in world.SPLITS}
    for key in range(5000):
        counts[split_of("share", key)] += 1
    assert 0.77 < counts["train"] / 5000 < 0.83
    assert 0.08 < counts["dev"] / 5000 < 0.12
    assert 0.08 < counts["test"] / 5000 < 0.12


@pytest.mark.parametrize(("subtask", "split"), KINDS)
def test_every_reference_scores_one(subtask, split):
    for drawn in draws(subtask, split):
        for answer, fields in zip(drawn.answers, drawn.fields, strict=True):
            assert score(subtask, " " + answer, answer, fields) == 1.0


@pytest.mark.parametrize("subtask", world.SUBTASKS)
def test_the_reference_of_another_prompt_scores_low(subtask):
    drawn = draws(subtask, "dev")
    scores = [
        score(subtask, other.answers[-1], one.answers[-1], one.fields[-1])
        for one, other in zip(drawn, drawn[1:], strict=False)
        if one.answers[-1] != other.answers[-1]
    ]
    assert sum(scores) / len(scores) < 0.6


def test_sums_are_right_and_stay_on_the_table():
    for drawn in draws("math_reasoning", "train", count=500):
        words = drawn.answers[0].replace(".", "").split()
        for at, word in enumerate(words):
            if word in ("plus", "minus"):
                a, b, result = int(words[at - 1]), int(words[at + 1]), int(words[at + 3])
                assert result == (a + b if word == "plus" else a - b)
                assert 0 <= result <= sums.LARGEST


def test_training_sees_every_entry_of_the_table():
    seen = set()
    rng = random.Random(0)
    for _ in range(8000):
        drawn = world.sample("equations", "train", rng)
        seen.update(f"{drawn.turns[0][7:]} {drawn.answers[0]}".rstrip(".").split(". "))
    entries = {
        f"{a} {op} {b} is {result}"
        for a in range(sums.LARGEST + 1)
        for b in range(1, 10)
        for op, result in (("plus", a + b), ("minus", a - b))
        if 0 <= result <= sums.LARGEST
    }
    assert seen == entries


def test_every_town_has_every_fact_and_every_fact_is_trained_on():
    table = facts.table()
    wanted = {(town, name) for town, values in table.items() for name in values}
    assert len(wanted) == 576
    seen = set()
    for drawn in draws("qa", "train", count=8000):
        town = next(town for town in table if town in drawn.turns[0])
        seen |= {(town, name) for name, value in table[town].items() if value in drawn.answers[0]}
    assert seen == wanted


def test_each_sentence_of_a_passage_names_its_person():
    for drawn in draws("rag", "train"):
        for passage in drawn.turns[0].split("\n")[:-1]:
            sentences = passage.split(": ", 1)[1].split(". ")
            assert len({sentence.split(" of ")[1].split(" is ")[0] for sentence in sentences}) == 1


def test_values_in_passages_differ_between_people():
    for drawn in draws("rag", "dev"):
        number = int(drawn.fields[0][2].split()[1])
        passages = drawn.turns[0].split("\n")[:-1]
        told = [passage for passage in passages if f" is {drawn.fields[0][0]}." in passage]
        assert passages[number - 1] in told
        assert 3 <= len(passages) <= 4
        assert set(rag.ATTRIBUTES)


def test_an_unknown_subtask_is_refused_with_the_known():
    with pytest.raises(ValueError, match="unknown subtask 'poetry'; known: multi-turn, translation"):
        world.sample("poetry", "train", random.Random(0))


def test_render_joins_turns_and_answers_without_a_marker_at_the_end():
    assert world.render(["Who?"]) == "Who?"
    assert world.render(["Who?", "Where?"], [" Tilda."]) == "Who? Tilda.\nWhere?"
    with pytest.raises(ValueError, match="nothing to answer"):
        world.render(["Who?"], ["Tilda."])
