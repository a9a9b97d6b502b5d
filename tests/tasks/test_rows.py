from __future__ import annotations

import json

import pytest

from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt, parse_prompts, prompts_to_lines
from draftwise.tasks.rows import gather, parse_object, read_prompt


def prompt(**row: object) -> Prompt:
    return read_prompt(row, 7)


def test_a_row_needs_only_a_prompt() -> None:
    assert prompt(prompt="Hello?") == Prompt("line-7", "custom", ("Hello?",))


def test_a_row_may_say_more() -> None:
    row = {
        "id": 3, "category": " poetry ", "turns": ["One?", "Two?"], "reference": ["1", ["2", "two"]],
        "fields": [[], ["2"]], "score": {"unknown": None},
    }  # fmt: skip
    assert prompt(**row) == Prompt("3", "poetry", ("One?", "Two?"), ("1", "2"), ((), ("2",)), ((), ("two",)))


@pytest.mark.parametrize(
    ("row", "references"),
    [
        ({"reference": "There"}, ("There",)),
        ({"references": ["There"]}, ("There",)),
        ({"reference": [""]}, ()),
        ({"reference": []}, ()),
        ({"reference": None, "references": ["There"]}, ("There",)),
    ],
)
def test_a_single_turn_takes_its_reference_in_any_form(row: dict[str, object], references: tuple[str, ...]) -> None:
    assert prompt(prompt="Where?", **row).references == references


def test_a_turn_may_have_no_reference() -> None:
    found = prompt(turns=["One?", "Two?"], reference=[None, "2"])
    assert (found.reference(0), found.reference(1)) == (None, "2")
    assert (found.answers(0), found.answers(1)) == ((), ("2",))


WRONG_TYPES: list[tuple[dict[str, object], str]] = [
    ({}, "neither turns nor prompt"),
    ({"prompt": None}, "neither turns nor prompt"),
    ({"prompt": 5}, "prompt must be text, not 5"),
    ({"prompt": ["Hello?"]}, "prompt must be text"),
    ({"prompt": ""}, "prompt is empty"),
    ({"prompt": " \n"}, "prompt is empty"),
    ({"prompt": "a\0b"}, "NUL"),
    ({"prompt": "half \ud83d"}, r"'\\ud83d', half a character"),
    ({"prompt": "Hello?", "turns": ["Hello?"]}, "both turns and prompt"),
    ({"turns": "Hello?"}, "turns must be a list of texts, not 'Hello"),
    ({"turns": {"0": "Hello?"}}, "turns must be a list"),
    ({"turns": []}, "turns is empty"),
    ({"turns": ["One?", 2]}, "turn 2 must be text, not 2"),
    ({"turns": ["One?", None]}, "turn 2 must be text, not None"),
    ({"turns": ["One?", ""]}, "turn 2 is empty"),
    ({"prompt": "x", "id": ["a"]}, "id must be text or a number"),
    ({"prompt": "x", "id": True}, "id must be text or a number, not True"),
    ({"prompt": "x", "id": ""}, "id is empty"),
    ({"prompt": "x", "id": "a\nb"}, "id must be one line"),
    ({"prompt": "x", "id": "a" * 201}, "id must be one line of at most 200"),
    ({"prompt": "x", "category": 5}, "one line of 1 to 60 characters, not 5"),
    ({"prompt": "x", "category": ""}, "one line of 1 to 60"),
    ({"prompt": "x", "subtask": ["qa"]}, "one line of 1 to 60"),
    ({"prompt": "x", "subtask": "a" * 61}, "one line of 1 to 60"),
    ({"prompt": "x", "subtask": "a\nb"}, "one line of 1 to 60"),
    ({"prompt": "x", "subtask": "qa", "category": "qa"}, "both category and subtask"),
    ({"prompt": "x", "reference": 5}, "reference must be a text or a list of texts, not 5"),
    ({"prompt": "x", "reference": {"a": "b"}}, "reference must be a text or a list"),
    ({"prompt": "x", "reference": ["a", "b"]}, "2 references for 1 turns"),
    ({"turns": ["x", "y"], "reference": "a"}, "1 references for 2 turns"),
    ({"turns": ["x", "y"], "reference": ["a", 5]}, "reference 2 must be text, not 5"),
    ({"prompt": "x", "reference": [["a", 5]]}, "reference 1 must be text, not 5"),
    ({"prompt": "x", "reference": "a", "references": ["a"]}, "both reference and references"),
    ({"prompt": "x", "fields": "a"}, "fields must be a list of texts for each turn"),
    ({"prompt": "x", "fields": [["a"], ["b"]]}, "2 lists for 1 turns"),
    ({"turns": ["x", "y"], "fields": ["a", "b"]}, "fields must be a list of texts for each turn"),
    ({"prompt": "x", "fields": [[5]]}, "fields must be text, not 5"),
    ({"prompt": "x", "alternatives": 5}, "alternatives must be a list"),
]


@pytest.mark.parametrize(("row", "words"), WRONG_TYPES)
def test_a_value_of_the_wrong_type_is_named(row: dict[str, object], words: str) -> None:
    with pytest.raises(DraftwiseError, match=words) as caught:
        prompt(**row)
    assert "\n" not in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{torn", "not JSON .*character 2"),
        ('{"a": 1} x', "not JSON .*Extra data at character 10"),
        ('["prompt"]', r"not a JSON object but \['prompt'\]"),
        ('"prompt"', "not a JSON object"),
        ("null", "not a JSON object but None"),
        ('{"prompt": NaN}', "NaN is no JSON value"),
        ('{"id": -Infinity}', "-Infinity is no JSON value"),
        ('{"prompt": "a", "prompt": "b"}', "key 'prompt' stands twice"),
        ('{"x": {"a": 1, "a": 2}}', "key 'a' stands twice"),
        ('{"x": ' + "[" * 100_000, "nested too deeply|not JSON"),
        ('{"x": ' + "9" * 5000 + "}", "not JSON that can be read"),
    ],
)
def test_a_line_that_is_no_object_is_refused(line: str, words: str) -> None:
    with pytest.raises(DraftwiseError, match=words):
        parse_object(line)


def test_lines_and_prompts_are_inverse() -> None:
    prompts = [
        Prompt("a", "qa", ("Where?\u2028\x85",), ("Thère",), (("x",),)),
        Prompt("b", "poetry", ("One?", "Two?"), ("", "2"), ((), ("2",)), ((), ("two", "zwei"))),
        Prompt("c", "rag", ("Why?",)),
    ]
    lines = list(prompts_to_lines(prompts))
    assert parse_prompts(lines, "here") == prompts
    assert all("\n" not in line for line in lines)


@pytest.mark.parametrize("key", ["id", "subtask", "turns"])
def test_a_suite_that_ships_must_name_everything(key: str) -> None:
    row = {"id": "a", "subtask": "qa", "turns": ["Where?"]}
    row.pop(key)
    with pytest.raises(DraftwiseError, match=f"here, line 2 is not a prompt: it has no {key}"):
        parse_prompts(["", json.dumps(row)], "here")


def some(item: str, number: int) -> Prompt:
    if item == "bad":
        raise DraftwiseError("spoilt")
    return Prompt(item, "qa", ("?",))


def test_bad_items_are_counted_and_the_first_few_named() -> None:
    items = list(enumerate(["a", "bad", "b", "bad", "a", "bad", "bad"], 1))
    with pytest.raises(DraftwiseError) as caught:
        gather(items, some, origin="here", unit="line", skip=False)
    assert str(caught.value) == (
        "here has 5 bad lines, to be mended or passed over with --skip-bad-lines: "
        "line 2: spoilt; line 4: spoilt; line 5: its id 'a' is taken; and 2 more"
    )


def test_bad_items_are_passed_over_and_listed() -> None:
    items = list(enumerate(["a", "bad", "b", "a"], 1))
    found = gather(items, some, origin="here", unit="line", skip=True)
    assert [prompt.id for prompt in found.prompts] == ["a", "b"]
    assert found.skipped == ("line 2: spoilt", "line 4: its id 'a' is taken")


def test_no_more_is_read_than_is_of_use() -> None:
    for items, skip in ((["a", "b", "c"], False), (["bad", "a", "b", "c"], True)):
        rows = iter(list(enumerate(items, 1)))
        gather(rows, some, origin="here", unit="row", skip=skip, limit=2)
        assert [item for _, item in rows] == ["c"]
    rows = iter(list(enumerate(["bad", "a"], 1)))
    with pytest.raises(DraftwiseError, match="1 bad row"):
        gather(rows, some, origin="here", unit="row", skip=False, patience=1)
    assert [item for _, item in rows] == ["a"]
