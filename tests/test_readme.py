"""What the README shows is run: its Python, and its commands with a smaller run asked for."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from draftwise.builtin import draft_directory, target_directory
from draftwise.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
STAND_INS = {
    "org/target": str(target_directory()),
    "path/draft": str(draft_directory()),
    "experiments/opt-6.7b.toml": str(ROOT / "experiments" / "builtin.toml"),  # the same sweep without a download
    "grown:facebook/opt-6.7b": "grown:layers=9",
    "grown:facebook/opt-125m": "grown:layers=3",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[str]:
    """Every command of a program in the README's shell blocks, without its comment."""
    lines = [line.split(" #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    inner = [match for part in parts for match in re.findall(rf"\$\(({program} [^)]*)\)", part)]
    return [part for part in parts if part.startswith(f"{program} ")] + inner


SMALLER = ("--limit", "1", "--repeats", "1", "--output")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A run that stands in for those that the README names."""
    directory = str(tmp_path_factory.mktemp("runs") / "A")
    assert call("draftwise bench --subtasks qa", {}, *SMALLER, directory) == 0
    return {"runs/A": directory, "runs/B": directory}


def call(command: str, stand_ins: dict[str, str], *more: str) -> int:
    words = [stand_ins.get(word, word) for word in shlex.split(command)]
    with pytest.raises(SystemExit) as ended:
        main([*words[1:], *more])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_there_is_something_to_run() -> None:
    assert len(blocks("python")) >= 1
    assert len(commands("draftwise")) >= 3
    assert len(commands("make")) >= 3


def test_the_snippets_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("command", commands("draftwise"))
def test_the_commands_run(
    command: str,
    measured: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "mine.jsonl").write_text('{"prompt": "Fix the grammar: He go home."}\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    smaller = (*SMALLER, str(tmp_path / "run"))
    more = smaller if command.startswith("draftwise bench") else ()
    assert call(command, STAND_INS | measured, *more) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("command", commands("make"))
def test_the_make_targets_exist(command: str) -> None:
    target = shlex.split(command)[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", re.findall(r"\]\((?!https?://)([^)#]+)\)", README))
def test_the_linked_files_exist(path: str) -> None:
    assert (ROOT / path).is_file()


def test_the_tree_of_folders_is_the_real_one() -> None:
    (tree,) = re.findall(r"^```\n(src/draftwise/\n.*?)^```", README, re.MULTILINE | re.DOTALL)
    shown = {line.split()[0].rstrip("/") for line in tree.splitlines() if line.startswith("  ")}
    real = {path.name for path in (ROOT / "src" / "draftwise").iterdir() if (path / "__init__.py").exists()}
    assert real <= shown
    assert all((ROOT / "src" / "draftwise" / name).exists() for name in shown)


def test_the_defaults_that_the_readme_states_are_the_defaults() -> None:
    from draftwise.options import DecodingOptions

    defaults = DecodingOptions()
    text = " ".join(README.split())
    assert (
        f"temperature {defaults.temperature:g}, {defaults.max_new_tokens} new tokens, γ {defaults.gamma}, "
        f"fallback {defaults.fallback_threshold:g}, rollback {defaults.rollback_threshold:g}"
    ) in text
