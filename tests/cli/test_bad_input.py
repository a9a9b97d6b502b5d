"""Every bad input: one line that names the value and the way out, exit code 2, and the package's error in Python."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Pair, Run, save_opt, save_tokenizer

from draftwise import DraftwiseError, Engine
from draftwise.bench.settings import BenchSettings
from draftwise.options import DecodingOptions, from_keywords

DECODING: list[tuple[str, str, object, str]] = [
    ("--gamma", "0", 0, "at least 1"),
    ("--gamma", "-3", -3, "at least 1"),
    ("--fallback-threshold", "1.5", 1.5, "at most 1"),
    ("--fallback-threshold", "-0.1", -0.1, "at least 0"),
    ("--fallback-threshold", "nan", float("nan"), "at least 0"),
    ("--rollback-threshold", "-1.0", -1.0, "at least 0"),
    ("--rollback-threshold", "nan", float("nan"), "at least 0"),
    ("--max-draft-tokens", "0", 0, "at least 1"),
    ("--temperature", "-0.5", -0.5, "at least 0"),
    ("--temperature", "nan", float("nan"), "at least 0"),
    ("--temperature", "inf", float("inf"), "finite"),
    ("--top-k", "-1", -1, "at least 0"),
    ("--top-p", "0.0", 0.0, "above 0"),
    ("--top-p", "1.01", 1.01, "at most 1"),
    ("--top-p", "nan", float("nan"), "above 0"),
    ("--max-new-tokens", "0", 0, "at least 1"),
    ("--max-new-tokens", "-5", -5, "at least 1"),
    ("--seed", "-1", -1, "from 0"),
]
BENCH: list[tuple[str, str, str, object, str]] = [
    ("--limit", "0", "limit", 0, "at least 1"),
    ("--repeats", "0", "repeats", 0, "at least 1"),
    ("--threads", "0", "threads", 0, "from 1 to 1024"),
    ("--methods", "", "methods", (), "at least one"),
    ("--methods", "as,sps,magic", "methods", ("as", "sps", "magic"), "sps, bild"),
    ("--subtasks", "qa,poetry", "subtasks", ("qa", "poetry"), "math_reasoning, rag, law analytics"),
    ("--suite", "nowhere", "suite", "nowhere", "builtin"),
]


@pytest.mark.parametrize("command", [["bench"], ["generate", "hello"]])
@pytest.mark.parametrize(("option", "text", "value", "wanted"), DECODING)
def test_a_decoding_option_out_of_range(
    run: Run, command: list[str], option: str, text: str, value: object, wanted: str
) -> None:
    run(*command, option, text).refused_with(option, text, wanted)


@pytest.mark.parametrize(("option", "text", "value", "wanted"), DECODING)
def test_a_decoding_option_out_of_range_in_python(option: str, text: str, value: object, wanted: str) -> None:
    name = option.removeprefix("--").replace("-", "_")
    with pytest.raises(DraftwiseError, match=f"{name} must be .*{wanted}") as caught:
        from_keywords(DecodingOptions, {name: value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("command", [["bench"], ["generate", "hello"]])
@pytest.mark.parametrize(
    ("option", "text", "wanted"),
    [
        ("--gamma", "many", "integer"),
        ("--gamma", "2.5", "integer"),
        ("--temperature", "hot", "float"),
        ("--top-p", "", "float"),
        ("--stop-id", "x", "integer"),
        ("--stop-id", "-1", "token ids"),
    ],
)
def test_a_value_of_the_wrong_type(run: Run, command: list[str], option: str, text: str, wanted: str) -> None:
    run(*command, option, text).refused_with(option, text, wanted)


@pytest.mark.parametrize(("option", "text", "name", "value", "wanted"), BENCH)
def test_a_bench_option_out_of_range(run: Run, option: str, text: str, name: str, value: object, wanted: str) -> None:
    run("bench", option, text).refused_with(text.split(",")[-1], wanted)
    with pytest.raises(DraftwiseError, match=wanted):
        BenchSettings(**{name: value})


def test_an_unknown_method(run: Run, pair: Pair) -> None:
    run("generate", "hello", "--method", "magic").refused_with("'magic'", "as, as*, sps, bild")
    with pytest.raises(ValueError, match=r"'magic'.*as, as\*, sps, bild"):
        Engine.load(pair.target).generate("hello", method="magic")


def test_an_unknown_subtask_or_suite_to_look_at(run: Run) -> None:
    run("tasks", "poetry").refused_with("'poetry'", "multi-turn", "grammar correction")
    run("tasks", "--suite", "nowhere").refused_with("'nowhere'", "builtin")
    run("tasks", "qa", "--index", "100000").refused_with("--index", "100000")


def test_a_method_without_the_draft_that_it_needs(run: Run, pair: Pair) -> None:
    run("bench", "--target", pair.target).refused_with("'sps'", "draft")
    run("generate", "hello", "--target", pair.target).refused_with("'sps'", "draft")
    with pytest.raises(DraftwiseError, match="draft"):
        Engine.load(pair.target).generate("hello", method="sps")


def test_an_empty_prompt(run: Run, pair: Pair) -> None:
    run("generate", "", *pair.options).refused_with("prompt is empty")
    engine = Engine.load(pair.target, pair.draft)
    for prompt in ("", [], [[1, 2], []]):
        with pytest.raises(DraftwiseError, match="empty"):
            engine.generate(prompt)


@pytest.mark.parametrize("token", [-1, 260, 10**30])
def test_a_token_id_outside_the_vocabulary(pair: Pair, token: int) -> None:
    with pytest.raises(DraftwiseError, match=f"{token} .*0 to 256"):
        Engine.load(pair.target, pair.draft).generate([3, token])


def test_a_prompt_longer_than_the_context(run: Run, pair: Pair, tmp_path: Path) -> None:
    small = save_opt(tmp_path / "small", positions=64)
    run("generate", "x" * 60, "--target", small, "--method", "as").refused_with("60", "64", "shorten")
    assert run("generate", "x" * 60, "--target", pair.target, "--draft", small).code == 0  # the draft pauses
    with pytest.raises(DraftwiseError, match="64"):
        Engine.load(small).generate([1] * 64, method="as", max_new_tokens=1)


@pytest.mark.parametrize("command", [["bench"], ["generate", "hello"]])
def test_vocabularies_that_differ_by_content(run: Run, pair: Pair, tmp_path: Path, command: list[str]) -> None:
    other = save_opt(tmp_path / "other")
    save_tokenizer(other, shifted=True)
    run(*command, "--target", pair.target, "--draft", other).refused_with(str(other), "vocabular")
    with pytest.raises(DraftwiseError, match="vocabular"):
        Engine.load(pair.target, other)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_config(directory: Path, **values: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


def empty(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.mkdir()


Spoil = Callable[[Path], object]
DIRECTORIES: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "missing": (shutil.rmtree, ("no directory",)),
    "empty": (empty, ("empty",)),
    "without config": (lambda it: (it / "config.json").unlink(), ("config.json",)),
    "without weights": (lambda it: (it / "model.safetensors").unlink(), ("safetensors",)),
    "without tokenizer": (lambda it: (it / "tokenizer.json").unlink(), ("tokenizer.json",)),
    "truncated weights": (lambda it: truncate(it / "model.safetensors"), ("model.safetensors",)),
    "corrupt weights": (lambda it: (it / "model.safetensors").write_bytes(b"\xff" * 64), ("model.safetensors",)),
    "empty weights": (lambda it: (it / "model.safetensors").write_bytes(b""), ("model.safetensors",)),
    "truncated config": (lambda it: truncate(it / "config.json"), ("config.json", "JSON")),
    "binary config": (lambda it: (it / "config.json").write_bytes(b"\xff\x00"), ("config.json", "JSON")),
    "config of another kind": (lambda it: (it / "config.json").write_text("[]"), ("config.json", "object")),
    "corrupt tokenizer": (lambda it: truncate(it / "tokenizer.json"), ("tokenizer.json",)),
    "another architecture": (lambda it: change_config(it, model_type="abacus"), ("'abacus'",)),
    "no architecture": (lambda it: change_config(it, model_type=None), ("no model_type",)),
    "other shapes": (lambda it: change_config(it, hidden_size=32, word_embed_proj_dim=32), ("shape", "[260, 32]")),
    "more layers": (lambda it: change_config(it, num_hidden_layers=5), ("layers.",)),
    "a nonsense size": (lambda it: change_config(it, num_attention_heads="two"), ("num_attention_heads", "'two'")),
}


@pytest.mark.parametrize("spoil, words", DIRECTORIES.values(), ids=DIRECTORIES)
@pytest.mark.parametrize("role", ["target", "draft"])
def test_a_model_directory_that_cannot_be_used(
    run: Run, pair: Pair, tmp_path: Path, role: str, spoil: Spoil, words: tuple[str, ...]
) -> None:
    broken = Path(shutil.copytree(pair.target, tmp_path / "broken"))
    spoil(broken)
    paths = {"target": pair.target, "draft": pair.draft, role: broken}
    output = tmp_path / "run"
    options = ("--target", paths["target"], "--draft", paths["draft"])
    run("generate", "hello", *options).refused_with(*words)
    run("bench", *options, "--output", output).refused_with(*words)
    assert not output.exists()
    with pytest.raises(DraftwiseError):
        Engine.load(paths["target"], paths["draft"])


def test_a_model_that_is_a_file(run: Run, pair: Pair) -> None:
    file = pair.target / "config.json"
    run("generate", "hello", "--target", file, "--draft", pair.draft).refused_with(str(file), "directory")


@pytest.mark.parametrize("command", [["bench"], ["generate", "hello"]])
def test_an_unknown_dtype(run: Run, pair: Pair, command: list[str]) -> None:
    run(*command, *pair.options, "--dtype", "int3").refused_with("'int3'", "float32", "bfloat16")
    with pytest.raises(DraftwiseError, match=r"'int3'.*float32"):
        Engine.load(pair.target, dtype="int3")


@pytest.mark.parametrize("device", ["cuda:99", "abacus", "meta", ""])
def test_an_absent_device(run: Run, pair: Pair, device: str) -> None:
    run("generate", "hello", *pair.options, "--device", device).refused_with("device", device)
    run("bench", *pair.options, "--device", device).refused_with("device", device)
    with pytest.raises(DraftwiseError, match="cpu"):
        Engine.load(pair.target, device=device)


@pytest.mark.parametrize("name", ["records.jsonl", "summary.json", "report.html", "run.json"])
def test_an_output_directory_that_holds_another_run(run: Run, pair: Pair, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious", "utf-8")
    run("bench", *pair.options, "--output", tmp_path).refused_with(str(tmp_path), name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text("utf-8") == "precious"


def test_an_output_directory_that_cannot_be_written(run: Run, pair: Pair, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("precious", "utf-8")
    for output in (file, file / "below" / "it"):
        run("bench", *pair.options, "--output", output).refused_with(str(file))
    assert file.read_text("utf-8") == "precious"


def test_the_output_directory_is_checked_before_a_model_is_loaded(run: Run, tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").touch()
    run("bench", "--target", "no/such", "--draft", "no/such", "--output", tmp_path).refused_with("records.jsonl")


def test_a_prompt_that_is_no_text(run: Run, pair: Pair) -> None:
    run("generate", "half \udcff", *pair.options).refused_with("UTF-8")
