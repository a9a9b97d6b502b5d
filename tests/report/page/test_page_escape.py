"""Texts of models and data files in the page's two hiding places: the JSON block and the templates."""

from __future__ import annotations

import json

import pytest
from page_browser import HOSTILE

from draftwise.report.page.escape import json_block, visible


@pytest.mark.parametrize("text", [*HOSTILE, "\u2028\u2029", "\udfff\ud800", "__proto__"])
def test_a_json_block_gives_the_text_back_and_holds_nothing_that_ends_it(text: str) -> None:
    block = json_block({text: [text]})
    assert json.loads(block) == {text: [text]}
    assert not set("<>&\u2028\u2029") & set(block)
    assert block.encode("utf-8")


def test_a_number_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_block([float("nan")])


def test_what_could_not_be_seen_is_shown() -> None:
    assert visible("a\x00b\x1b\x7f") == "a␀b␛␡"
    assert visible("x\u202ey\ud800") == "x⟨U+202E⟩y⟨U+D800⟩"
    assert visible("tab\tline\n ü 漢 \U0001f600") == "tab\tline\n ü 漢 \U0001f600"
