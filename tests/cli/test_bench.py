from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from harness import Outcome, Pair, Run, save_opt

from draftwise.bench import files
from draftwise.bench.files import DirectoryLock
from draftwise.bench.interrupt import StopRequest
from draftwise.bench.records import read_samples
from draftwise.bench.store import read_prompts
from draftwise.cli import progress as progress_module
from draftwise.cli.progress import clock, shown_progress
from draftwise.engine import Engine

SMALL = ("--subtasks", "qa,law analytics", "--limit", 2, "--repeats", 2, "--max-new-tokens", 8, "--ignore-eos")
NUMBER = r"\d+\.\d\d"


@pytest.fixture(scope="module")
def finished(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    """A small run, in a process of its own."""
    output = tmp_path_factory.mktemp("bench") / "run"
    arguments = [*pair.options, *SMALL, "--output", output]
    command = [sys.executable, "-m", "draftwise.cli.main", "bench", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return Outcome(done.returncode, done.stdout, done.stderr), output


def summary_of(directory: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((directory / "summary.json").read_text("utf-8"))
    return summary


def test_a_run_prints_the_result_lines(finished: tuple[Outcome, Path]) -> None:
    outcome, _ = finished
    assert outcome.code == 0, outcome.err
    for start in ("Overall Result:", "Subtask: qa,", "Subtask: law analytics,"):
        for title in ("SPS", "BiLD"):
            assert re.search(
                rf"^{start} AS: {NUMBER} tokens/sec, {title}: {NUMBER} tokens/sec -> {NUMBER} X Speedup$",
                outcome.out,
                re.MULTILINE,
            ), outcome.out


def test_a_run_writes_records_and_summary(finished: tuple[Outcome, Path]) -> None:
    outcome, directory = finished
    assert len(list(read_samples(directory))) == 2 * 2 * 4 * 2
    summary = summary_of(directory)
    assert list(summary["overall"]) == ["as", "as*", "sps", "bild"]
    assert list(summary["subtasks"]) == ["qa", "law analytics"]
    assert summary["overall"]["as"]["speedup"] == 1
    assert summary["overall"]["sps"]["agreement"] == 1
    assert str(directory) in outcome.err


def test_settings_reach_the_summary(finished: tuple[Outcome, Path], pair: Pair) -> None:
    settings = summary_of(finished[1])["settings"]
    assert (settings["target"], settings["draft"]) == (str(pair.target), str(pair.draft))
    assert settings["decoding"]["max_new_tokens"] == 8
    assert settings["decoding"]["ignore_eos"] is True


def test_the_same_command_shows_a_complete_run_again_and_measures_nothing(
    run: Run, pair: Pair, finished: tuple[Outcome, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, directory = finished
    before = (directory / "records.jsonl").read_bytes()
    monkeypatch.setattr(Engine, "load_all", lambda pairing: pytest.fail("the models were loaded"))
    again = run("bench", *pair.options, *SMALL, "--output", directory)
    assert (again.code, again.out) == (0, outcome.out)
    assert (directory / "records.jsonl").read_bytes() == before


def test_other_settings_are_refused_with_what_differs_and_touch_nothing(
    run: Run, pair: Pair, finished: tuple[Outcome, Path]
) -> None:
    _, directory = finished
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    other = ("--gamma", 6, "--repeats", 3, "--output", directory)
    run("bench", *pair.options, *SMALL, *other).refused_with(
        str(directory), "repeats is 2 there and 3 here", "gamma is 4 there and 6 here", "another output directory"
    )
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_a_run_whose_directory_was_given_away_to_another_command_waits_for_it(
    run: Run, pair: Pair, finished: tuple[Outcome, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.1)
    with DirectoryLock(finished[1]) as lock:
        lock.take()
        outcome = run("bench", *pair.options, *SMALL, "--output", finished[1])
    outcome.refused_with("another process writes to", str(finished[1]))


def test_the_run_goes_to_runs_where_no_output_is_named(
    run: Run, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("--subtasks", "qa", "--limit", 1, "--repeats", 1, "--max-new-tokens", 4, "--methods", "as,sps")
    assert run("bench", *pair.options, *arguments).code == 0
    (directory,) = (tmp_path / "runs").iterdir()
    assert list(summary_of(directory)["overall"]) == ["as", "sps"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_is_valid_shorter_and_says_so(pair: Pair, tmp_path: Path, number: signal.Signals) -> None:
    arguments = [*pair.options, "--subtasks", "qa", "--limit", 5, "--repeats", 5000, "--output", tmp_path / "run"]
    command = [sys.executable, "-m", "draftwise.cli.main", "bench", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        records = tmp_path / "run" / "records.jsonl"
        while not (records.exists() and records.stat().st_size):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "Traceback" not in err
    assert f"stopped by {number.name}" in err.splitlines()[-1]
    summary = summary_of(tmp_path / "run")
    assert summary["complete"] is False
    assert summary["samples"] == len(list(read_samples(tmp_path / "run"))) > 0
    assert "Overall Result:" in out


def test_a_run_stopped_before_its_first_sample_leaves_nothing_and_exits_as_stopped(
    run: Run, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "signal", "SIGINT") or self)
    outcome = run("bench", "--target", pair.target, "--draft", pair.draft, "--output", tmp_path / "run", "--limit", 1)
    assert (outcome.code, outcome.out) == (130, "")
    assert "stopped by SIGINT before the first sample" in outcome.err
    assert not (tmp_path / "run").exists()


def test_progress_off_a_terminal_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 4.0, 11.0, 15.0, 22.0])
    monkeypatch.setattr(progress_module, "monotonic", lambda: next(now))
    with shown_progress() as progress:
        for done in range(1, 5):
            progress(done, 8, "repeat 1 of 3")
    assert capsys.readouterr().err.splitlines() == [
        "repeat 1 of 3: 2/8, 0:33 left",
        "repeat 1 of 3: 4/8, 0:22 left",
    ]


def test_progress_on_a_terminal_is_a_bar_with_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    now = iter([0.0, 10.0])
    monkeypatch.setattr(progress_module, "monotonic", lambda: next(now))
    with shown_progress() as progress:
        progress(1, 4, "warming up")
    shown = capsys.readouterr().err
    assert "warming up" in shown
    assert "1/4, 0:30 left" in shown


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00"), (59.6, "1:00"), (75, "1:15"), (3661, "1:01:01")])
def test_time_left_is_written_as_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_a_stop_id_outside_the_vocabulary_writes_nothing(run: Run, pair: Pair, tmp_path: Path) -> None:
    output = tmp_path / "run"
    run("bench", *pair.options, "--stop-id", 99999, "--output", output).refused_with("stop_token_ids", "99999")
    assert not output.exists()


def test_a_path_that_is_no_utf_8_is_written_down(run: Run, pair: Pair, tmp_path: Path) -> None:
    data = tmp_path / "odd\udcff.txt"
    data.write_text("Hello\n", "utf-8")
    options = ("--repeats", 1, "--max-new-tokens", 2, "--methods", "as", "--output", tmp_path / "run")
    assert run("bench", *pair.options, "--data", data, *options).code == 0
    settings = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["settings"]
    assert settings["data"] == str(data)


def test_a_run_that_fails_leaves_the_table_of_those_before_it(run: Run, pair: Pair, tmp_path: Path) -> None:
    data = tmp_path / "mine.txt"
    data.write_text("Hello there\n", "utf-8")
    options = ("--repeats", 1, "--methods", "as", "--max-new-tokens", "2,3,4096", "--data", data)
    outcome = run("bench", *pair.options, *options, "--output", tmp_path / "run")
    assert outcome.code == 2
    assert "4096 new tokens alone fill the target's context" in outcome.err
    assert "all 2 runs, overall" in outcome.out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (r'{"id": "odd\ud800", "prompt": "Hello"}', "half a character"),
        (r'{"prompt": "Hello \ud800"}', "half a character"),
        (r'{"prompt": "Hello", "reference": "\udfff"}', "half a character"),
        (r'{"prompt": "NUL \u0000"}', "NUL"),
        (r'{"id": "two\u2028lines", "prompt": "Hello"}', "one line"),
    ],
)
def test_texts_that_no_record_can_hold_are_refused_when_they_are_read(
    run: Run, pair: Pair, tmp_path: Path, line: str, words: str
) -> None:
    (tmp_path / "own.jsonl").write_text(line, "utf-8")
    output = tmp_path / "run"
    run("bench", *pair.options, "--data", tmp_path / "own.jsonl", "--output", output).refused_with("line 1", words)
    assert not output.exists()


def test_odd_texts_and_names_survive_in_the_records(run: Run, pair: Pair, tmp_path: Path) -> None:
    odd = save_opt(tmp_path / "odd\u2028draft\x07", hidden=8, seed=2)
    text = "Hello \u2028\u2029\x85\x1b[31m <script>alert(1)</script> \U0001f600"
    rows = [{"id": "</script>", "turns": [text, "And \u2028 then?"]}, {"prompt": text, "reference": text}]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    options = ("--draft", f"{pair.draft},{odd}", "--data", tmp_path / "own.jsonl", "--repeats", 1)
    arguments = ("--target", pair.target, *options, "--methods", "as,sps", "--max-new-tokens", 4)
    outcome = run("bench", *arguments, "--output", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    prompts = read_prompts(tmp_path / "run")
    assert [prompt.turns[0] for prompt in prompts] == [text, text]
    samples = list(read_samples(tmp_path / "run"))
    assert {sample.prompt_id for sample in samples} == {"</script>", "line-2"}
    assert {sample.method for sample in samples} == {"as", "sps draft=draft", r"sps draft=odd\u2028draft\x07"}
    assert run("bench", *arguments, "--output", tmp_path / "run").code == 0
