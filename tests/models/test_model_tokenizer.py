"""The tokenizer beside a checkpoint, and comparing two vocabularies by their content."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
from tiny_opt import save_tokenizer
from tokenizers import processors

from draftwise.errors import DraftwiseError
from draftwise.models.tokenizer import Tokenizer, load_tokenizer, vocabulary_differences


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    save_tokenizer(tmp_path, 64)
    return tmp_path


def test_text_goes_to_ids_and_back(directory: Path) -> None:
    tokenizer = load_tokenizer(directory)
    assert tokenizer.encode("w5 w9 w2") == [5, 9, 2]
    assert tokenizer.decode([5, 9, 2]) == "w5 w9 w2"
    assert tokenizer.encode("") == [] and tokenizer.decode([]) == ""


def test_special_tokens_are_shown_only_on_request(directory: Path) -> None:
    tokenizer = load_tokenizer(directory)
    assert tokenizer.decode([5, 63]) == "w5"
    assert "</s>" in tokenizer.decode([5, 63], skip_special_tokens=False)


def test_the_post_processor_adds_its_special_tokens(directory: Path) -> None:
    inner = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    inner.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 63)])
    assert Tokenizer(inner).encode("w5") == [63, 5]


def test_truncation_and_padding_in_the_file_are_not_obeyed(directory: Path) -> None:
    inner = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    inner.enable_truncation(2)
    inner.enable_padding(length=8)
    inner.save(str(directory / "tokenizer.json"))
    assert load_tokenizer(directory).encode("w1 w2 w3") == [1, 2, 3]


def test_the_vocabulary_counts_added_tokens(directory: Path) -> None:
    tokenizer = load_tokenizer(directory)
    assert tokenizer.vocabulary()["</s>"] == 63 and len(tokenizer.vocabulary()) == 64
    assert tokenizer.size == 64


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"version": "1.0", "model": {}}'])
def test_a_corrupt_file_earns_one_clear_line(directory: Path, content: bytes) -> None:
    (directory / "tokenizer.json").write_bytes(content)
    with pytest.raises(DraftwiseError, match=r"tokenizer\.json.*fetch the file again") as caught:
        load_tokenizer(directory)
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_which_ones_would_do(directory: Path) -> None:
    (directory / "tokenizer.json").rename(directory / "vocab.json")
    with pytest.raises(DraftwiseError, match=r"no tokenizer\.json.* nor vocab\.json and merges\.txt.*give a directory"):
        load_tokenizer(directory)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(DraftwiseError, match="no directory .*nowhere"):
        load_tokenizer(tmp_path / "nowhere")


def test_equal_vocabularies_have_no_differences() -> None:
    assert vocabulary_differences({"a": 0, "b": 1}, {"b": 1, "a": 0}) == []


def test_vocabularies_of_one_size_differ_by_content() -> None:
    assert vocabulary_differences({"a": 0, "b": 1, "c": 2}, {"a": 0, "c": 1, "d": 2}) == [
        "'b' is 1 in one, missing in the other",
        "'c' is 2 in one, 1 in the other",
        "'d' is missing in one, 2 in the other",
    ]


def test_only_the_first_differences_are_spelled_out() -> None:
    first = {f"a{index}": index for index in range(9)}
    second = {f"a{index}": index for index in range(2)}
    lines = vocabulary_differences(first, second, limit=2)
    assert lines == ["'a2' is 2 in one, missing in the other", "'a3' is 3 in one, missing in the other", "and 5 more"]
