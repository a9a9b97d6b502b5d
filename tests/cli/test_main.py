from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from harness import Run

import draftwise
from draftwise.cli import main as entry
from draftwise.cli.main import COMMANDS

COMMAND = [sys.executable, "-m", "draftwise.cli.main"]


def test_version_is_the_packages(run: Run) -> None:
    assert run("--version").out == f"draftwise {draftwise.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_lists_every_command(run: Run, arguments: list[str]) -> None:
    outcome = run(*arguments)
    assert outcome.code == 0
    assert all(name in outcome.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help(run: Run, name: str, flag: str) -> None:
    outcome = run(name, flag)
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: draftwise {name}")


def test_unknown_command_lists_the_known(run: Run) -> None:
    run("frobnicate").refused_with("'frobnicate'", *COMMANDS)


@pytest.mark.parametrize("arguments", [["--bogus"], ["bench", "--bogus"]])
def test_unknown_option_is_named(run: Run, arguments: list[str]) -> None:
    run(*arguments).refused_with("--bogus", "--help")


def test_missing_prompt_is_named(run: Run) -> None:
    run("generate").refused_with("PROMPT", "draftwise generate --help")


@pytest.mark.parametrize("arguments", [["tasks", "a", "b"], ["bench", "leftover"]])
def test_surplus_argument_is_named(run: Run, arguments: list[str]) -> None:
    run(*arguments).refused_with(arguments[-1])


def test_ctrl_c_exits_130_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry.cli, "invoke", interrupted)
    outcome = run("tasks")
    assert outcome.code == 130
    assert outcome.err.strip() == "draftwise: stopped"


def test_ctrl_c_while_waiting_for_a_prompt_leaves_no_traceback() -> None:
    code = "from draftwise.cli.main import main; print('ready', flush=True); main(['generate', '-'])"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().strip() == "draftwise: stopped"
    assert process.returncode == 130


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run([*COMMAND, "tasks"], stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writer)
    assert done.stderr == ""


def test_an_error_leaves_no_traceback_and_exits_2() -> None:
    done = subprocess.run([*COMMAND, "bench", "--gamma", "0"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("draftwise: error: ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(run: Run, shell: str) -> None:
    outcome = run("completion", shell)
    assert outcome.code == 0
    assert "_DRAFTWISE_COMPLETE" in outcome.out


def test_completion_of_an_unknown_shell_lists_the_known(run: Run) -> None:
    run("completion", "tcsh").refused_with("'tcsh'", "bash", "zsh", "fish")


def test_the_shell_gets_the_options_of_a_command() -> None:
    words = {"COMP_WORDS": "draftwise bench --gam", "COMP_CWORD": "2", "_DRAFTWISE_COMPLETE": "bash_complete"}
    done = subprocess.run(COMMAND, env=os.environ | words, capture_output=True, text=True)
    assert done.stdout.split() == ["plain,--gamma"]
