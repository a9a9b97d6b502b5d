from __future__ import annotations

import json

import pytest

from draftwise.errors import DraftwiseError
from draftwise.tasks import (
    SUBTASKS,
    SUITES,
    Prompt,
    SuiteSource,
    check_source,
    history,
    load_suite,
    parse_prompts,
    shipped,
    subtasks_of,
    suite_sha256,
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [Prompt(f"qa-{n}", "qa", (f"Question {n}?",), (f"Answer {n}",)) for n in range(3)]
    prompts += [Prompt(f"mt-{n}", "multi-turn", ("Hello", "And then?")) for n in range(2)]
    monkeypatch.setitem(SUITES, "small", shipped(lambda: prompts))


def line(**changes: object) -> str:
    row = {"id": "a", "subtask": "qa", "turns": ["Where?"], "references": ["There"], "fields": [["There"]]}
    return json.dumps(row | changes)


def test_the_names_are_those_of_the_issue() -> None:
    assert SUBTASKS == (
        "multi-turn",
        "translation",
        "summarization",
        "qa",
        "math_reasoning",
        "rag",
        "law analytics",
        "grammar correction",
    )


def test_a_line_becomes_a_prompt() -> None:
    (prompt,) = parse_prompts([line(), ""], "here")
    assert prompt == Prompt("a", "qa", ("Where?",), ("There",), (("There",),))
    assert (prompt.reference(0), prompt.fields_of(0)) == ("There", ("There",))
    assert Prompt("b", "qa", ("Where?",)).reference(0) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{torn", "here, line 1 is not a prompt"),
        (json.dumps({"id": "a", "subtask": "qa"}), "turns"),
        (line(subtask=""), "name must be one line"),
        (line(turns=[]), "turns is empty"),
        (line(references=["x", "y"]), "2 references for 1 turns"),
        (f"{line()}\n{line()}", "'a' more than once"),
    ],
)
def test_a_line_that_is_no_prompt_is_named(text: str, words: str) -> None:
    with pytest.raises(DraftwiseError, match=words):
        parse_prompts(text.splitlines(), "here")


@pytest.mark.usefixtures("small")
def test_a_suite_comes_in_the_order_of_the_subtasks_and_is_cut_by_the_limit() -> None:
    assert [prompt.id for prompt in load_suite("small").prompts] == ["mt-0", "mt-1", "qa-0", "qa-1", "qa-2"]
    assert [prompt.id for prompt in load_suite("small", limit=1).prompts] == ["mt-0", "qa-0"]
    assert [prompt.id for prompt in load_suite("small", ["qa"], 2).prompts] == ["qa-0", "qa-1"]


@pytest.mark.usefixtures("small")
def test_unknown_names_list_the_known() -> None:
    with pytest.raises(DraftwiseError, match="suite 'nothing'.*builtin"):
        load_suite("nothing")
    with pytest.raises(DraftwiseError, match="small: 'poetry'.*multi-turn, qa"):
        load_suite("small", ["poetry"])
    with pytest.raises(DraftwiseError, match="subtask of small: 'rag'.*multi-turn, qa"):
        load_suite("small", ["rag"])


def test_an_unknown_suite_that_is_nearly_known_is_guessed() -> None:
    with pytest.raises(DraftwiseError, match=r"did you mean 'spec-bench'\? .*standard.*jfleg.*hf:NAME\[:CONFIG\]"):
        load_suite("specbench")
    with pytest.raises(DraftwiseError, match="unknown suite 'zzz'; choose from: builtin, standard"):
        load_suite("zzz")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (SuiteSource("file"), r"suite 'file' needs --data with a file .*\.jsonl, \.json, \.txt"),
        (SuiteSource("spec-bench"), "suite 'spec-bench' needs --data with its question.jsonl"),
        (SuiteSource("builtin", "a.txt"), "suite 'builtin' takes no data, so not 'a.txt'; .*spec-bench, file"),
        (SuiteSource("hf:a/b", "a.txt"), "takes no data"),
        (SuiteSource("file", "a.txt", prompt_field="q"), "suite 'file' takes no prompt_field, so not 'q'; hf:"),
        (SuiteSource("jfleg", reference_field="q"), "suite 'jfleg' takes no reference_field"),
        (SuiteSource(prompt_field="q"), "suite 'builtin' takes no prompt_field"),
    ],
)
def test_a_suite_is_told_what_it_needs_and_no_more(source: SuiteSource, words: str) -> None:
    for use in (check_source, load_suite):
        with pytest.raises(DraftwiseError, match=words):
            use(source)


def test_data_alone_means_a_file() -> None:
    assert (SuiteSource().name, SuiteSource(data="a.txt").name) == ("builtin", "file")


def test_every_suite_says_what_it_is_and_needs() -> None:
    for name, entry in SUITES.items():
        assert entry.about, name
        assert bool(entry.needs) != entry.is_shipped, name


def test_other_subtasks_follow_in_order_of_appearance() -> None:
    names = ["zebra", "rag", "ant", "qa", "zebra"]
    prompts = [Prompt(str(n), name, ("?",)) for n, name in enumerate(names)]
    assert subtasks_of(prompts) == ["qa", "rag", "zebra", "ant"]


@pytest.mark.parametrize("name", ["", " ", "qa ", "a\nb", "x" * 61, "half \ud83d"])
def test_a_subtask_has_a_short_name(name: str) -> None:
    with pytest.raises(DraftwiseError, match="one line of 1 to 60 characters") as caught:
        Prompt("a", name, ("?",))
    str(caught.value).encode()
    assert Prompt("a", "x" * 60, ("?",)).subtask == "x" * 60


def test_the_hash_follows_what_the_prompts_say() -> None:
    one, two = Prompt("a", "qa", ("Where?",)), Prompt("a", "qa", ("Where then?",))
    assert suite_sha256([one]) == suite_sha256([one]) != suite_sha256([two])


def test_history_puts_answers_between_turns() -> None:
    assert history(["Hello"], []) == "Hello"
    assert history(["Hello", "And then?"], [" Hi."]) == "Hello Hi.\nAnd then?"
    assert history(["Hello", "And then?", "So?"], ["Hi.", " Nothing."]) == "Hello Hi.\nAnd then? Nothing.\nSo?"
    with pytest.raises(ValueError, match="2 turns need 1 answers"):
        history(["a", "b"], [])
