from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import Run

from draftwise.tasks import METRICS, SUBTASKS, load_suite

GOOD = json.dumps({"prompt": "Hello?", "category": "greeting", "reference": "Hello."})


@pytest.fixture(params=["builtin", "standard"])
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_tasks_lists_what_ships_and_names_the_rest_with_what_it_needs(run: Run) -> None:
    outcome = run("tasks")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("suite ")] == ["suite builtin", "suite standard"]
    rest = {line.split()[0]: line for line in lines[lines.index("suites that need something else") + 1 :]}
    assert list(rest) == ["spec-bench", "file", "jfleg", "legal-qa", "hf:NAME[:CONFIG][:SPLIT]"]
    for name, words in (
        ("spec-bench", "question.jsonl"),
        ("file", ".txt"),
        ("jfleg", "CC BY-NC-SA"),
        ("legal-qa", "network"),
    ):
        assert words in rest[name]


def test_tasks_lists_each_subtask_with_its_prompts_and_metric(run: Run, suite: str) -> None:
    outcome = run("tasks", "--suite", suite)
    assert outcome.code == 0
    for subtask in SUBTASKS:
        line = next(line for line in outcome.out.splitlines() if line.strip().startswith(subtask))
        assert line.split()[-len(METRICS[subtask].split()) :] == METRICS[subtask].split()
        assert str(len(load_suite(suite, [subtask]).prompts)) in line.split()


@pytest.mark.parametrize("index", [0, 3])
def test_tasks_shows_a_prompt_with_its_reference(run: Run, suite: str, index: int) -> None:
    prompt = load_suite(suite, ["multi-turn"]).prompts[index]
    outcome = run("tasks", "multi-turn", "--suite", suite, "--index", index)
    assert outcome.code == 0
    for text in (*prompt.turns, *prompt.references):
        assert text in outcome.out


def test_tasks_looks_into_a_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    two = json.dumps({"turns": ["Where?"], "reference": [["Here.", "Right here."]], "id": "where"})
    path.write_text(f"{GOOD}\n{two}\n", "utf-8")
    outcome = run("tasks", "--data", path)
    assert outcome.out.splitlines() == [
        "suite file: 2 prompts",
        "  subtask   prompts  metric",
        "  greeting        1  token F1",
        "  custom          1  token F1",
    ]
    outcome = run("tasks", "custom", "--data", path)
    assert outcome.out.splitlines() == ["prompt: Where?", "reference: Here.", "or: Right here."]
    assert outcome.err == "where (1 of 1)\n"


def test_tasks_says_where_nothing_can_be_scored(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("Hello?\n", "utf-8")
    outcome = run("tasks", "--suite", "file", "--data", tmp_path / "mine.txt")
    assert outcome.out.splitlines()[0] == "suite file: 1 prompt"
    assert outcome.out.endswith("none, for want of references\n")


def test_lines_passed_over_are_named_on_stderr(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(f'{GOOD}\n{{torn\n{{"prompt": 5}}\n', "utf-8")
    run("tasks", "--data", path).refused_with(
        str(path), "2 bad lines", "line 2: not JSON", "line 3:", "--skip-bad-lines"
    )
    outcome = run("tasks", "--data", path, "--skip-bad-lines")
    assert outcome.code == 0 and "suite file: 1 prompt" in outcome.out
    first, second = outcome.err.splitlines()
    assert first.startswith("passed over: line 2: not JSON")
    assert second == "passed over: line 3: prompt must be text, not 5"


def test_tasks_looks_into_a_data_set(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test.jsonl").write_text('{"q": "One?", "a": ["1"]}\n{"q": "Two?", "a": ["2"]}\n', "utf-8")
    name = f"hf:{tmp_path / 'data'}"
    fields = ("--suite", name, "--prompt-field", "Say: {q}", "--reference-field", "a")
    assert run("tasks", *fields).out.splitlines()[0] == f"suite {name}: 2 prompts"
    outcome = run("tasks", "custom", *fields, "--index", 1)
    assert (outcome.out, outcome.err) == ("prompt: Say: Two?\nreference: 2\n", "test-2\n")
    run("tasks", "custom", *fields, "--index", 2).refused_with("--index must be from 0 to 1")
    run("tasks", "--suite", name).refused_with("--prompt-field", "q, a")
    run("tasks", "--suite", name, "--prompt-field", "x").refused_with("'x'", "q, a")
    run("tasks", "--suite", f"{name}:train", "--prompt-field", "q").refused_with("'train'", "test")


BAD_LINES: list[tuple[object, str]] = [
    ("text", "not a JSON object"),
    ([], "not a JSON object"),
    ({"id": [1], "prompt": "x"}, "id must be text or a number"),
    ({"turns": "x"}, "turns must be a list"),
    ({"turns": []}, "turns is empty"),
    ({"turns": [1]}, "turn 1 must be text"),
    ({"prompt": ["x"]}, "prompt must be text"),
    ({"prompt": ""}, "prompt is empty"),
    ({"prompt": "x", "turns": ["x"]}, "both turns and prompt"),
    ({"prompt": "\ud83d"}, "half a character"),
    ({"prompt": "x", "category": 5}, "a subtask's name"),
    ({"prompt": "x", "subtask": "a\nb"}, "a subtask's name"),
    ({"prompt": "x", "reference": 5}, "reference must be"),
    ({"prompt": "x", "reference": ["a", "b"]}, "2 references for 1 turns"),
    ({"prompt": "x", "fields": 5}, "fields must be"),
    ({"prompt": "x", "alternatives": [[1]]}, "alternatives must be text"),
    ({"prompt": "x", "number": float("nan")}, "NaN"),
]


@pytest.mark.parametrize(("value", "words"), BAD_LINES)
def test_a_bad_line_of_a_file(run: Run, tmp_path: Path, value: object, words: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{GOOD}\n{json.dumps(value)}\n", "utf-8")
    run("tasks", "--data", path).refused_with(str(path), "1 bad line", "line 2: ", words, "--skip-bad-lines")
    assert run("tasks", "--data", path, "--skip-bad-lines").code == 0


BAD_OPTIONS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--suite", "spec-bench"), ("'spec-bench'", "--data")),
    (("--suite", "file"), ("'file'", "--data", ".jsonl")),
    (("--suite", "specbench"), ("'specbench'", "did you mean 'spec-bench'?", "hf:NAME[:CONFIG][:SPLIT]")),
    (("--suite", ""), ("''", "builtin")),
    (("--suite", "hf:"), ("'hf:'", "hf:NAME")),
    (("--suite", "hf:a:b:c:d"), ("hf:a:b:c:d", "hf:NAME")),
    (("--suite", "hf:./no/such", "--prompt-field", "q"), ("./no/such", "no such directory")),
    (("--suite", "hf:a/b", "--prompt-field", "{q"), ("'{q'", "partner")),
    (("--suite", "builtin", "--data", "a.txt"), ("'builtin'", "takes no data", "file")),
    (("--suite", "builtin", "--prompt-field", "q"), ("'builtin'", "prompt_field", "hf:")),
    (("--prompt-field", "q"), ("'builtin'", "prompt_field")),
    (("--suite", "jfleg", "--reference-field", "q"), ("'jfleg'", "reference_field")),
    (("--data", "none.jsonl"), ("none.jsonl", "No such file")),
    (("--data", "none.csv"), ("none.csv", ".jsonl, .json, .txt")),
    (("--data", "."), ("is a directory",)),
    (("--data", ""), ("'file'", "--data with a file")),
    (("poetry", "--suite", "standard"), ("'poetry'", "multi-turn", "grammar correction")),
    (("qa", "--index", "-1"), ("--index", "-1")),
    (("qa", "--index", "one"), ("--index", "integer")),
]


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS)
def test_a_source_that_cannot_be_used(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    run("tasks", *options).refused_with(*words)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"", "holds no prompt"),
        ("a.txt", b"\n\n", "holds no prompt"),
        ("a.txt", b"caf\xe9\n", "line 1: not UTF-8"),
        ("a.json", b"{}", "must hold a list"),
        ("a.json", b"[", "not JSON"),
        ("a.jsonl", b'{"prompt": "a", "prompt": "b"}', "stands twice"),
        ("a.jsonl", b'{"prompt": "a", "id": 1}\n{"prompt": "b", "id": 1}', "line 2: its id '1' is taken"),
    ],
)
def test_a_file_that_holds_no_prompts(run: Run, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    run("tasks", "--data", tmp_path / name).refused_with(name, words)
    run("tasks", "--suite", "spec-bench", "--data", tmp_path / name).refused_with(name)
