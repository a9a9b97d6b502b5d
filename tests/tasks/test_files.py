from __future__ import annotations

import json
from pathlib import Path

import pytest

from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt, Suite, SuiteSource, load_suite, rows


def read(path: Path, content: str | bytes, *, skip: bool = False) -> Suite:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_suite(SuiteSource(data=str(path), skip_bad_lines=skip))


def test_a_file_of_json_lines(tmp_path: Path) -> None:
    content = '{"prompt": "One?", "category": "poetry"}\n\n  \n{"turns": ["Two?"], "id": 9}\n'
    assert read(tmp_path / "mine.jsonl", content).prompts == (
        Prompt("line-1", "poetry", ("One?",)),
        Prompt("9", "custom", ("Two?",)),
    )


def test_a_file_of_plain_lines(tmp_path: Path) -> None:
    found = read(tmp_path / "mine.txt", "One?\r\n\r\n \t\n  Two\u2028lines?\x85")
    assert found == Suite(
        (Prompt("line-1", "custom", ("One?",)), Prompt("line-4", "custom", ("  Two\u2028lines?\x85",)))
    )


def test_a_json_list(tmp_path: Path) -> None:
    found = read(tmp_path / "mine.JSON", '\ufeff[{"prompt": "One?"},\n{"prompt": "Two?"}]')
    assert [prompt.turns for prompt in found.prompts] == [("One?",), ("Two?",)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"prompt": "One?"}', "must hold a list of objects, not {'prompt"),
        ("[{]", "mine.json: not JSON"),
        ('[{"prompt": "One?"},\n"Two?"]', "1 bad entry.*entry 2: not a JSON object but 'Two?'"),
        (b'["\xff"]', r"mine.json: not UTF-8 \(byte 0xff at 3\)"),
        ("[]", "mine.json holds no prompt"),
        ("", "mine.json: not JSON"),
    ],
)
def test_a_json_file_that_is_no_list_of_prompts(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(DraftwiseError, match=words.replace("?", r"\?")):
        read(tmp_path / "mine.json", content)


@pytest.mark.parametrize("name", ["mine.jsonl", "mine.txt"])
def test_a_mark_at_the_start_and_other_line_ends_are_no_part_of_a_prompt(tmp_path: Path, name: str) -> None:
    lines = ['{"prompt": "One?"}', '{"prompt": "Two?"}'] if name.endswith("l") else ["One?", "Two?"]
    found = read(tmp_path / name, b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert [prompt.turns for prompt in found.prompts] == [("One?",), ("Two?",)]


def test_bad_lines_are_reported_by_number(tmp_path: Path) -> None:
    good = json.dumps({"prompt": "One?"})
    content = b"\n".join(
        [good.encode(), b"", b"{torn", b'["a"]', b'{"prompt": "\xff"}', b'{"prompt": 1}', good.encode()]
    )
    with pytest.raises(DraftwiseError) as caught:
        read(tmp_path / "mine.jsonl", content)
    assert "mine.jsonl has 4 bad lines" in str(caught.value)
    for words in (
        "line 3: not JSON",
        "line 4: not a JSON object",
        "line 5: not UTF-8 (byte 0xff at 13)",
        "; and 1 more",
    ):
        assert words in str(caught.value)
    found = read(tmp_path / "mine.jsonl", content, skip=True)
    assert [prompt.id for prompt in found.prompts] == ["line-1", "line-7"]
    assert [line.split(":")[0] for line in found.skipped] == ["line 3", "line 4", "line 5", "line 6"]


def test_an_id_may_stand_only_once(tmp_path: Path) -> None:
    content = '{"prompt": "One?", "id": 1}\n{"prompt": "Two?", "id": "1"}\n'
    with pytest.raises(DraftwiseError, match="line 2: its id '1' is taken"):
        read(tmp_path / "mine.jsonl", content)


def test_a_lone_surrogate_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(DraftwiseError, match="line 1: prompt holds .*half a character"):
        read(tmp_path / "mine.jsonl", '{"prompt": "\\ud83d"}')
    assert read(tmp_path / "mine.jsonl", '{"prompt": "\\ud83d\\ude00"}').prompts[0].turns == ("\U0001f600",)


def test_a_line_may_be_long_but_not_huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("draftwise.tasks.files.LONGEST_LINE", 2000)
    assert rows.LONGEST_LINE >= 2**20
    assert len(read(tmp_path / "mine.txt", "x" * 2000 + "\n").prompts[0].turns[0]) == 2000
    with pytest.raises(DraftwiseError, match="line 1: 2,001 bytes long, more than 2,000"):
        read(tmp_path / "mine.txt", "x" * 2001)


def test_text_in_utf_16_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DraftwiseError, match="line 1: not UTF-8"):
        read(tmp_path / "mine.txt", "One?\n".encode("utf-16"))
    with pytest.raises(DraftwiseError, match="NUL"):
        read(tmp_path / "mine.txt", "One?\n".encode("utf-16-le"))


@pytest.mark.parametrize("content", ["", "\n \r\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["mine.jsonl", "mine.txt"])
def test_a_file_without_a_prompt(tmp_path: Path, name: str, content: str | bytes) -> None:
    with pytest.raises(DraftwiseError, match=f"{name} holds no prompt$"):
        read(tmp_path / name, content)


def test_a_file_of_nothing_but_bad_lines(tmp_path: Path) -> None:
    with pytest.raises(DraftwiseError, match="holds no prompt; passed over were 2, the first line 1: not JSON"):
        read(tmp_path / "mine.jsonl", "a\nb\n", skip=True)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for data, words in (
        (tmp_path / "none.jsonl", "No such file"),
        (tmp_path, "is a directory"),
        (tmp_path / "none.csv", r"must end in one of: \.jsonl, \.json, \.txt"),
        (tmp_path / "none", "must end in one of"),
        (tmp_path / ("x" * 300 + ".txt"), "name too long"),
        ("a\0b.txt", "null"),
    ):
        with pytest.raises(DraftwiseError, match=words):
            load_suite(SuiteSource(data=str(data)))
