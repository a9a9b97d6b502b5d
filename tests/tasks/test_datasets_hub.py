from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from draftwise.errors import DraftwiseError
from draftwise.tasks import SUBTASKS, Prompt, Suite, SuiteSource, load_suite, score_answer
from draftwise.tasks.hub import HUB_SUITES, HubName, parse_name

datasets = pytest.importorskip("datasets")

TWO_CONFIGS = """---
configs:
- config_name: first
  data_files:
  - split: train
    path: first/train.jsonl
  - split: test
    path: first/test.jsonl
- config_name: second
  data_files: second/*.jsonl
---
"""
SENTENCES: list[dict[str, Any]] = [
    {"sentence": "She go home .", "corrections": ["She goes home .", "She went home .", "She goes home .", ""]},
    {"sentence": "They is .", "corrections": ["They are ."]},
    {"sentence": "Fine .", "corrections": []},
]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def plain(tmp_path: Path) -> str:
    """A directory with one config and the splits train and validation."""
    write(tmp_path / "train.jsonl", [{"question": "Old?", "answers": {"text": ["No"]}, "number": 0, "mark": 0.5}])
    rows = [
        {"question": "One?", "answers": {"text": ["1", "one"]}, "number": 1, "mark": 0.5},
        {"question": "Two?", "answers": {"text": []}, "number": 2, "mark": 1.5},
        {"question": "", "answers": {"text": ["3"]}, "number": 3, "mark": 2.5},
        {"question": "Four?", "answers": {"text": ["4"]}, "number": 4, "mark": 3.5},
    ]
    write(tmp_path / "validation.jsonl", rows)
    return f"hf:{tmp_path}"


@pytest.fixture
def configs(tmp_path: Path) -> str:
    """A directory with two configs and no default."""
    write(tmp_path / "first/train.jsonl", [{"q": "first, train"}])
    write(tmp_path / "first/test.jsonl", [{"q": "first, test"}])
    write(tmp_path / "second/all.jsonl", [{"q": "second"}])
    (tmp_path / "README.md").write_text(TWO_CONFIGS, "utf-8")
    return f"hf:{tmp_path}"


def load(name: str, prompt: str | None, reference: str | None = None, *, limit: int | None = None) -> Suite:
    return load_suite(SuiteSource(name, None, prompt, reference), limit=limit)


def test_a_name_has_up_to_three_parts() -> None:
    assert parse_name("hf:a/b") == HubName("a/b", ())
    assert parse_name("hf:a/b:c:d") == HubName("a/b", ("c", "d"))
    for name in ("hf:", "hf: :test", "hf:a/b:c:d:e"):
        with pytest.raises(DraftwiseError, match=r"must be of the form hf:NAME\[:CONFIG\]\[:SPLIT\]"):
            load_suite(name)


def test_the_split_is_test_or_validation_or_train(plain: str) -> None:
    assert [prompt.id for prompt in load(plain, "question", limit=1).prompts] == ["validation-1"]
    assert load(f"{plain}:train", "question").prompts == (Prompt("train-1", "custom", ("Old?",)),)


def test_rows_become_prompts(plain: str) -> None:
    assert load(plain, "Answer: {question} ({number}, {mark})", "answers.text", limit=2).prompts == (
        Prompt("validation-1", "custom", ("Answer: One? (1, 0.5)",), ("1",), (), (("one",),)),
        Prompt("validation-2", "custom", ("Answer: Two? (2, 1.5)",)),
    )
    assert load(plain, "question", "answers.text.0", limit=1).prompts[0].references == ("1",)
    assert load(plain, "question", "number", limit=1).prompts[0].references == ("1",)


def test_a_row_without_a_prompt_is_reported_or_passed_over(plain: str) -> None:
    with pytest.raises(DraftwiseError, match="1 bad row.*row 3: question is empty"):
        load(plain, "question")
    suite = load_suite(SuiteSource(plain, None, "question", skip_bad_lines=True))
    assert [prompt.id for prompt in suite.prompts] == ["validation-1", "validation-2", "validation-4"]
    assert suite.skipped == ("row 3: question is empty",)


def test_a_part_after_the_name_is_a_config_or_a_split(configs: str) -> None:
    for parts, text in ((":first", "first, test"), (":first:train", "first, train"), (":second:train", "second")):
        assert load(configs + parts, "q").prompts[0].turns == (text,)


@pytest.mark.parametrize(
    ("parts", "prompt", "reference", "words"),
    [
        ("", None, None, "needs --prompt-field; the columns are: question, answers, number, mark"),
        ("", "querstion", None, "unknown column 'querstion'; choose from: question, answers, number, mark"),
        ("", "{question} {txt}", None, "unknown column 'txt'; choose from: question, answers"),
        ("", "question", "answer", "unknown column 'answer'; choose from: question, answers"),
        ("", "question", "answers.texts", "row 1: .*'texts'; choose from: text"),
        ("", "question", "answers", "row 1: answers is no text .*such as answers.text"),
        ("", "answers.text", None, "row 1: answers.text is no text .*such as answers.text.0"),
        ("", "{question", None, "without its partner"),
        (":nowhere", "question", None, "unknown config or split of .*'nowhere'; choose from: default, .*train"),
        (":default:test", "question", None, "unknown split of .*'test'; choose from: .*train"),
        (":other:train", "question", None, "unknown config of .*'other'; choose from: default"),
    ],
)
def test_what_is_not_there_is_named_beside_what_is(
    plain: str, parts: str, prompt: str | None, reference: str | None, words: str
) -> None:
    with pytest.raises(DraftwiseError, match=words):
        load(plain + parts, prompt, reference)


def test_several_configs_must_be_chosen_from(configs: str) -> None:
    with pytest.raises(DraftwiseError, match="several configs; name one: first, second"):
        load(configs, "q")


def test_a_directory_that_holds_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DraftwiseError, match="no such directory"):
        load(f"hf:{tmp_path}/none", "q")
    with pytest.raises(DraftwiseError, match="data files"):
        load(f"hf:{tmp_path}", "q")
    write(tmp_path / "train.jsonl", [])
    with pytest.raises(DraftwiseError):
        load(f"hf:{tmp_path}", "q")
    (tmp_path / f"{tmp_path.name}.py").write_text("raise SystemExit('ran')", "utf-8")
    with pytest.raises(DraftwiseError, match="code of its own, which draftwise doesn't run"):
        load(f"hf:{tmp_path}", "q")


def test_a_torn_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "test.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(DraftwiseError, match="data set .* can't be read: ") as caught:
        load(f"hf:{tmp_path}", "q")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (lambda: datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' is a gated dataset on the Hub."), "gated"),
        (lambda: datasets.exceptions.DatasetNotFoundError("'a/b' doesn't exist on the Hub or…"), "none of this name"),
        (lambda: ConnectionError("Couldn't reach 'a/b' on the Hub (ConnectError)"), "can't be reached .*network"),
        (
            lambda: ConnectionError("Couldn't reach 'a/b' on the Hub (OfflineModeIsEnabled)"),
            "cache, and HF_HUB_OFFLINE",
        ),
        (lambda: RuntimeError("Dataset scripts are no longer supported, but found b.py"), "code of its own"),
        (lambda: KeyError("a\nb"), "KeyError: 'a"),
    ],
)
def test_what_the_hub_says_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception], words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error()

    monkeypatch.setattr(datasets, "get_dataset_config_names", fail)
    with pytest.raises(DraftwiseError, match=f"data set 'a/b' can't be read: .*{words}") as caught:
        load("hf:a/b", "q")
    assert "\n" not in str(caught.value)


def test_offline_the_cache_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "cached" / "test.jsonl", [{"question": "One?"}, {"question": "Two?"}])
    cache = Path(datasets.config.HF_DATASETS_CACHE)
    datasets.load_dataset(str(tmp_path / "cached"))
    (built,) = (cache / "cached").glob("default*/0.0.0/*[!k]/")
    shutil.copytree(built, cache / "org___cached" / "default" / "0.0.0" / built.name)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    assert [prompt.turns for prompt in load("hf:org/cached", "question").prompts] == [("One?",), ("Two?",)]
    assert len(load(f"hf:{tmp_path / 'cached'}", "question").prompts) == 2
    with pytest.raises(DraftwiseError, match="it isn't in the cache, and HF_HUB_OFFLINE forbids"):
        load("hf:org/other", "question")


def test_a_format_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "train.jsonl", [{"q": "secret"}])
    for name in ("json", "csv", "text"):
        with pytest.raises(DraftwiseError, match=f"'{name}' is a format, no data set; name the directory"):
            load(f"hf:{name}", "q")
    assert load("hf:.", "q").prompts[0].turns == ("secret",)


def test_what_the_library_says_in_passing_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.csv").write_text("a,b\n1,2\n1,2,3,4\n", "utf-8")
    with pytest.raises(DraftwiseError, match="can't be read"):
        load(f"hf:{tmp_path}", "a")
    assert capfd.readouterr() == ("", "")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DraftwiseError, match=r'pip install "draftwise\[datasets\]"'):
        load("hf:a/b", "q")


def test_no_more_rows_are_read_than_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        column_names = ["q"]
        read = 0

        def select_columns(self, names: list[str]) -> Endless:
            assert names == ["q"]
            return self

        def __iter__(self) -> Any:
            while True:
                self.read += 1
                yield {"q": f"Number {self.read}?"}

    rows = Endless()
    library = ModuleType("datasets")
    vars(library).update(
        get_dataset_config_names=lambda name: ["default"],
        load_dataset=lambda name, config, streaming: {"train": rows},
        config=datasets.config,
        is_progress_bar_enabled=lambda: False,
        disable_progress_bars=lambda: None,
    )
    monkeypatch.setitem(sys.modules, "datasets", library)
    assert len(load("hf:a/b", "q", limit=5).prompts) == rows.read == 5


def test_the_rows_that_ship_name_subtasks_of_the_experiment() -> None:
    assert {row.subtask for row in HUB_SUITES.values()} == {"law analytics", "grammar correction"} < set(SUBTASKS)


def test_jfleg_maps_as_its_columns_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import Table, parquet

    (tmp_path / "data").mkdir()
    for split in ("validation", "test"):
        parquet.write_table(Table.from_pylist(SENTENCES), tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    monkeypatch.setitem(HUB_SUITES, "jfleg", replace(HUB_SUITES["jfleg"], dataset=str(tmp_path)))
    first, _, last = load_suite("jfleg").prompts
    assert (first.id, first.subtask) == ("test-1", "grammar correction")
    assert "She go home ." in first.turns[0]
    assert first.answers(0) == ("She goes home .", "She went home .")
    assert score_answer(first, 0, "She went home.") == 1.0 > 0.0 == score_answer(first, 0, "She go home .")
    assert score_answer(last, 0, "anything") is None


def test_legal_qa_maps_as_its_columns_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = {
        "version_id": "v",
        "type": "decision",
        "citation": "A v B [2006] NSWSC 1018",
        "text": "The summons was late.",
    }
    row = {
        "question": "Why was the appeal out of time?",
        "answer": "The summons was late.",
        "text": "Question: Why?\nAnswer: secret",
        "prompt": "secret",
        "source": source,
    }
    write(tmp_path / "qa.jsonl", [row])
    monkeypatch.setitem(HUB_SUITES, "legal-qa", replace(HUB_SUITES["legal-qa"], dataset=str(tmp_path)))
    (prompt,) = load_suite("legal-qa").prompts
    assert (prompt.id, prompt.subtask, prompt.references) == ("train-1", "law analytics", ("The summons was late.",))
    for words in (row["question"], source["text"], source["citation"]):
        assert str(words) in prompt.turns[0]
    assert "secret" not in prompt.turns[0]
