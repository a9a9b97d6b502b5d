"""Sessions in fresh processes: taken one after another, each for itself, and stopped with the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import TASKS, FakeEngine, bench, models, taken
from nursery import Nursery

from draftwise.bench import BenchSettings, runner, sessions
from draftwise.bench.interrupt import StopRequest
from draftwise.bench.records import read_samples
from draftwise.bench.runner import run_bench
from draftwise.bench.ticker import Ticker
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions
from draftwise.tasks import load_suite

EACH = TASKS * 3 * 3
"""Samples of a session."""


def processes(directory: Path) -> list[tuple[int, str, int]]:
    """Session, "begin" or "end", and process id of each line that a session left."""
    lines = map(json.loads, (directory / "sessions.jsonl").read_text("utf-8").splitlines())
    return [(line["session"], line["when"], line["pid"]) for line in lines]


def wait_for(what: Callable[[], Any]) -> Any:
    """Wait until something is there, and give it."""
    end = time.monotonic() + 20
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.002)
    return found


def pid_of(directory: Path, session: int) -> int | None:
    """The process that began a session last, once it has taken a sample."""
    if not (directory / "sessions.jsonl").exists():
        return None
    begun = [pid for number, when, pid in processes(directory) if (number, when) == (session, "begin")]
    lines = (directory / "records.jsonl").read_bytes().splitlines() if begun else []
    return begun[-1] if len(lines) > session * EACH else None


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def calm(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("calm") / "run"
    assert nursery.run(*bench(directory, "--sessions", 3), fake=True).code == 0
    return directory


def test_each_session_is_a_process_of_its_own_that_takes_all_the_repeats(calm: Path) -> None:
    found = processes(calm)
    assert [(session, when) for session, when, _ in found] == [(n, when) for n in range(3) for when in ("begin", "end")]
    assert [found[n][2] == found[n + 1][2] for n in range(5)] == [True, False, True, False, True]
    samples = list(read_samples(calm))
    assert [item.order for item in samples] == list(range(3 * EACH))
    assert [item.session for item in samples] == [n for n in range(3) for _ in range(EACH)]


def test_a_session_with_the_real_models_in_a_process_that_is_started_for_it(tmp_path: Path) -> None:
    arguments = ("--subtasks", "qa", "--limit", 1, "--repeats", 1, "--max-new-tokens", 2, "--methods", "as,sps")
    command = [sys.executable, "-m", "draftwise.cli.main", "bench", *map(str, arguments), "--sessions", "2"]
    done = subprocess.run([*command, "--output", tmp_path], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert [session for session, _, _ in processes(tmp_path)] == [0, 0, 1, 1]
    assert len({pid for _, _, pid in processes(tmp_path)}) == 2
    first, second = ([item for item in read_samples(tmp_path) if item.session == n] for n in (0, 1))
    assert {(item.method, item.seed, item.new_tokens) for item in first} == {
        (item.method, item.seed, item.new_tokens) for item in second
    }


def test_the_models_are_let_go_of_before_a_session_loads_its_own(
    settings: BenchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = [models(FakeEngine())]
    kept = weakref.ref(shelf[0].first)
    seen: list[tuple[int, bool]] = []
    monkeypatch.setattr(runner, "take_session", lambda path, session, *_: seen.append((session, kept() is None)))
    several = BenchSettings.from_record({**settings.to_record(), "sessions": 3})
    run_bench(lambda: shelf[0], several, load_suite("small"), tmp_path, release=shelf.clear)
    assert seen == [(1, True), (2, True)]


def test_progress_counts_the_units_of_all_sessions_to_the_total(nursery: Nursery, tmp_path: Path) -> None:
    ended = nursery.run(*bench(tmp_path / "run", "--sessions", 3), fake=True, progress=True)
    counts = [line.split()[1:3] for line in ended.err.splitlines() if line.startswith("progress ")]
    done, total = int(counts[-1][0]), int(counts[-1][1])
    answers, checks, warm_ups = 2, TASKS * 3, json.loads((tmp_path / "run" / "run.json").read_text())
    assert done == total == answers + checks + 3 * warm_ups["environment"]["warm_ups"] + 3 * EACH
    assert [int(one) for one, _ in counts] == sorted(int(one) for one, _ in counts)


def test_a_killed_session_is_told_in_one_line_and_the_same_command_goes_on(
    nursery: Nursery, tmp_path: Path, calm: Path
) -> None:
    arguments = bench(tmp_path, "--sessions", 3)
    for moment in (5, 30, 60, 61, 62, 63):
        ended = nursery.run(*arguments, fake=True, die_in_session=[moment, True])
        assert "session 2 ended with code -9" in ended.complaint or "session 3 ended with code -9" in ended.complaint
        assert "the same command again" in ended.complaint
    assert nursery.run(*arguments, fake=True).code == 0
    assert taken(tmp_path) == taken(calm)


def test_a_full_disk_in_a_session_is_told_once(nursery: Nursery, tmp_path: Path, calm: Path) -> None:
    arguments, size = bench(tmp_path, "--sessions", 3), (calm / "records.jsonl").stat().st_size // 2
    assert "records.jsonl cannot grow: File too large" in nursery.run(*arguments, fake=True, size=size).complaint
    assert nursery.run(*arguments, fake=True).code == 0
    assert taken(tmp_path) == taken(calm)


def test_a_session_whose_parent_is_killed_stops_by_itself_and_lets_others_go_on(
    nursery: Nursery, tmp_path: Path, calm: Path
) -> None:
    arguments = bench(tmp_path, "--sessions", 3)
    for session in (1, 2):
        parent = nursery.start(*arguments, fake=True, nap=0.003)
        child = wait_for(lambda session=session: pid_of(tmp_path, session))
        os.kill(parent, signal.SIGKILL)
        assert nursery.wait(parent).code == -signal.SIGKILL
        wait_for(lambda child=child: not alive(child))
        assert len(list(read_samples(tmp_path))) < (session + 1) * EACH, "it stopped before its end"
    assert nursery.run(*arguments, fake=True).code == 0
    assert taken(tmp_path) == taken(calm)


def test_a_command_that_follows_at_once_waits_for_the_orphan(nursery: Nursery, tmp_path: Path, calm: Path) -> None:
    arguments = bench(tmp_path, "--sessions", 3)
    parent = nursery.start(*arguments, fake=True, nap=0.003)
    wait_for(lambda: pid_of(tmp_path, 1))
    os.kill(parent, signal.SIGKILL)
    assert nursery.run(*arguments, fake=True).code == 0
    assert taken(tmp_path) == taken(calm)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_passed_on_and_the_run_is_valid_and_goes_on(
    nursery: Nursery, tmp_path: Path, calm: Path, number: signal.Signals
) -> None:
    arguments = bench(tmp_path, "--sessions", 3)
    pid = nursery.start(*arguments, fake=True, nap=0.003)
    child = wait_for(lambda: pid_of(tmp_path, 1))
    os.kill(pid, number)
    ended = nursery.wait(pid)
    assert ended.code == 128 + number and not alive(child), ended
    end = json.loads((tmp_path / "end.json").read_text())
    assert EACH < end["samples"] == len(list(read_samples(tmp_path))) < 2 * EACH
    assert f"stopped by {number.name} after {end['samples']} of {3 * EACH} samples" in ended.err
    assert processes(tmp_path)[-1][:2] == (1, "end"), "the session ended in order"
    assert nursery.run(*arguments, fake=True).code == 0
    assert taken(tmp_path) == taken(calm)


def script(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let a few lines of Python stand for a session."""
    monkeypatch.setattr(sessions, "COMMAND", (sys.executable, "-c", f"import sys, time, signal, os\n{text}"))


def test_what_a_session_says_reaches_progress_and_its_error_the_caller(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[int, int, str]] = []
    script(monkeypatch, "print('3 warming up'); print('4 session 2 of 2, repeat 1 of 3'); print('error it went wrong')")
    with pytest.raises(DraftwiseError, match="^it went wrong$"):
        sessions.take_session(tmp_path, 1, StopRequest(), Ticker(lambda *state: seen.append(state), 10))
    assert seen == [(3, 10, "warming up"), (7, 10, "session 2 of 2, repeat 1 of 3")]


def test_a_stop_before_a_session_can_listen_ends_it_without_a_complaint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stop = StopRequest()
    stop.signal = "SIGINT"
    script(monkeypatch, "time.sleep(60)")
    began = time.monotonic()
    sessions.take_session(tmp_path, 1, stop, Ticker())
    assert time.monotonic() - began < 20


def test_ctrl_c_at_the_terminal_reaches_a_session_only_through_its_parent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script(monkeypatch, "print(1, os.getpgrp())")
    seen: list[str] = []
    sessions.take_session(tmp_path, 1, StopRequest(), Ticker(lambda done, total, label: seen.append(label)))
    assert int(seen[0]) != os.getpgrp()


def test_settings_say_how_many_sessions() -> None:
    settings = BenchSettings(suite="small", sessions=2, decoding=DecodingOptions(max_new_tokens=12))
    assert settings.to_record()["sessions"] == 2 and BenchSettings.from_record(settings.to_record()) == settings
