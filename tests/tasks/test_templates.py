from __future__ import annotations

import pytest

from draftwise.errors import DraftwiseError
from draftwise.tasks.templates import as_text, parse_field

ROW = {
    "a": "x",
    "translation": {"en": "Hello", "de": "Hallo"},
    "answers": {"text": ["one", "two"]},
    "n": 3,
    "a.b": "dot",
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("a", "x"),
        ("a.b", "dot"),
        ("translation.en", "Hello"),
        ("answers.text", ["one", "two"]),
        ("answers.text.1", "two"),
        ("answers.text.2", None),
        ("Say {translation.en} {n} times", "Say Hello 3 times"),
        ("{a}{ a }", "xx"),
        ("{{{a}}} {{a}}", "{x} {a}"),
        ("a line\n{answers.text.0}", "a line\none"),
    ],
)
def test_a_field_takes_its_value_from_a_row(field: str, value: object) -> None:
    assert parse_field(field).value(ROW) == value


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("", "must name a column"),
        ("{}", "empty braces"),
        ("{a", "without its partner"),
        ("a}", "without its partner"),
        ("{a{b}}", "without its partner"),
        ("{{a}}", "names no column"),
    ],
)
def test_a_field_that_cannot_be_read(field: str, words: str) -> None:
    with pytest.raises(DraftwiseError, match=words):
        parse_field(field)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("translation.fr", "'fr'; choose from: en, de"),
        ("a.x.y", "a.x.y leads nowhere: 'x' has no 'x'"),
        ("answers.text.first", "has no 'first'"),
        ("{translation}", "translation is no text .*such as translation.en"),
        ("{answers.text}", "answers.text is no text .*such as answers.text.0"),
        ("{answers.text.5}", "answers.text.5 is empty"),
    ],
)
def test_a_path_that_leads_nowhere(field: str, words: str) -> None:
    with pytest.raises(DraftwiseError, match=words):
        parse_field(field).value(ROW)


def test_an_unknown_column_lists_the_known() -> None:
    with pytest.raises(DraftwiseError, match="unknown column 'b'; choose from: a, translation"):
        parse_field("{a} {b}").columns(["a", "translation"])
    assert parse_field("{a} {translation.en}").columns(["a", "translation"]) == ["a", "translation"]


def test_only_texts_and_numbers_are_text() -> None:
    assert [as_text(value, "x") for value in ("a", 3, 2.5)] == ["a", "3", "2.5"]
    for value in (None, [], {}, b"bytes"):
        with pytest.raises(DraftwiseError, match="x is"):
            as_text(value, "x")
