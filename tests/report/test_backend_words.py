from __future__ import annotations

from typing import Any

import pytest

from draftwise.report.backends import backend_words, backends_words
from draftwise.report.page.facts import environment_groups

FAST: dict[str, Any] = {"name": "large", "backend": "native", "exact": True, "instructions": "AVX-512"}
SLOW: dict[str, Any] = {"name": "small", "backend": "plain", "exact": False, "passed_over": ["native: no compiler"]}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (FAST, "native (AVX-512), exact"),
        (SLOW, "plain, not exact; passed over native: no compiler"),
        (SLOW | {"passed_over": ["a: b", "c: d"]}, "plain, not exact; passed over a: b; c: d"),
        ({"name": "old", "implementation": "own"}, ""),
    ],
)
def test_a_model_says_what_ran_it(model: dict[str, Any], words: str) -> None:
    assert backend_words(model) == words


def test_one_text_stands_for_models_that_ran_alike() -> None:
    assert backends_words({"target": FAST, "drafts": [FAST]}) == "native (AVX-512), exact"
    assert backends_words({"target": {"name": "old"}, "drafts": []}) == ""
    told = backends_words({"target": FAST, "drafts": [SLOW]})
    assert told == f"target: {backend_words(FAST)} | draft small: {backend_words(SLOW)}"


def test_the_page_says_it_of_each_model() -> None:
    environment = {"models": {"target": FAST, "drafts": [SLOW]}}
    facts = dict(environment_groups({"environment": environment, "settings": {}}))["Models"]
    assert ("target", "large, backend native (AVX-512), exact") in facts
    assert any(name == "draft" and "passed over native: no compiler" in text for name, text in facts)
