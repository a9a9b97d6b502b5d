"""Logs that grow group by group, and small files that are whole or not there."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from draftwise.bench import files
from draftwise.bench.files import DirectoryLock, Log, cut_after, read_json, to_json, write_whole
from draftwise.errors import DraftwiseError


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.15)


def test_a_group_is_on_the_disk_when_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((tmp_path / "log").read_bytes()))
    with Log(tmp_path / "log") as log:
        log.append([b"one\n", b"two\n"])
        log.append([])
        log.append([b"three\n"])
    assert synced == [b"one\ntwo\n", b"one\ntwo\n", b"one\ntwo\nthree\n"]


def test_a_log_is_added_to_and_never_begun_anew(tmp_path: Path) -> None:
    for line in (b"one\n", b"two\n"):
        with Log(tmp_path / "log") as log:
            log.append([line])
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_a_write_of_a_part_is_followed_by_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    with Log(tmp_path / "log") as log:
        log.append([b"a longer line\n", b"and another\n"])
    assert (tmp_path / "log").read_bytes() == b"a longer line\nand another\n"


def test_one_process_at_a_time_writes_to_a_log(tmp_path: Path) -> None:
    with Log(tmp_path / "log"), pytest.raises(DraftwiseError, match=r"another process writes to .*log; wait for it"):
        Log(tmp_path / "log")
    with Log(tmp_path / "log"):
        pass


def test_a_lock_that_is_let_go_of_in_time_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LOCK_SECONDS", 20.0)
    first = DirectoryLock(tmp_path)
    first.take()
    threading.Timer(0.2, first.__exit__, (None, None, None)).start()
    began = time.monotonic()
    with DirectoryLock(tmp_path) as second:
        second.take()
        assert second.held and 0.1 < time.monotonic() - began < 10
    assert not second.held


def test_a_directory_is_locked_without_a_file_and_refused_to_others(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path) as lock:
        assert not lock.held
        lock.take()
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(DraftwiseError, match=f"another process writes to {tmp_path}; wait for it, or end it"):
            DirectoryLock(tmp_path).take()
    DirectoryLock(tmp_path).take()


def test_what_was_left_of_small_files_goes_with_the_lock_and_nothing_else(tmp_path: Path) -> None:
    for name in (".run.json.part-77", ".hidden", "run.json", "a.part-1"):
        (tmp_path / name).write_text("x")
    with DirectoryLock(tmp_path) as lock:
        lock.take()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "a.part-1", "run.json"]


def test_a_file_system_without_locks_is_used_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def unsupported(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with Log(tmp_path / "log") as log, DirectoryLock(tmp_path) as lock:
        lock.take()
        log.append([b"one\n"])
    assert (tmp_path / "log").read_bytes() == b"one\n"


def test_a_log_in_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DraftwiseError, match="log cannot be written: No such file"):
        Log(tmp_path / "nowhere" / "log")
    with pytest.raises(DraftwiseError, match="nowhere cannot be written: No such file"):
        DirectoryLock(tmp_path / "nowhere").take()


@pytest.mark.parametrize(
    ("size", "kept", "aside"),
    [(8, b"one\ntwo\n", None), (4, b"one\n", b"two\n"), (0, b"", b"one\ntwo\n"), (6, b"one\ntw", b"o\n")],
)
def test_what_is_cut_off_a_log_is_kept_beside_it(tmp_path: Path, size: int, kept: bytes, aside: bytes | None) -> None:
    path = tmp_path / "some.jsonl"
    path.write_bytes(b"one\ntwo\n")
    assert cut_after(path, size) == (aside or b"")
    assert path.read_bytes() == kept
    torn = tmp_path / "some.torn"
    assert (torn.read_bytes() if torn.exists() else None) == aside


def test_a_cut_line_gets_an_end_so_that_the_next_one_stands_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    for rest in (b"tor", b"torn agai"):
        path.write_bytes(b"one\n" + rest)
        cut_after(path, 4)
    assert (tmp_path / "some.torn").read_bytes() == b"tor\ntorn agai\n"


def test_a_small_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "it.json"
    write_whole(path, "old")
    seen: list[tuple[str, bytes]] = []
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        seen.append((path.read_text(), source.read_bytes()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    write_whole(path, "new")
    assert seen == [("old", b"new")] and path.read_text() == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["it.json"]


def test_a_small_file_on_a_full_disk_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "it.json", "old")

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DraftwiseError, match=r"it.json cannot grow: No space left on device; what is saved stands"):
        write_whole(tmp_path / "it.json", "new")
    assert {item.name: item.read_text() for item in tmp_path.iterdir()} == {"it.json": "old"}


@pytest.mark.parametrize("text", ["odd\udcff", "a\ud800b", "a\u2028b\0", "\U0001f600é"])
def test_any_text_survives_in_a_small_file(tmp_path: Path, text: str) -> None:
    """A path may hold bytes that are no UTF-8; Python has them as half characters."""
    write_whole(tmp_path / "it.json", to_json({"path": text}))
    assert read_json(tmp_path / "it.json") == {"path": text}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_is_strict(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json({"a": number})


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"a": \xff', "[" * 100_000])
def test_a_small_file_that_is_no_object_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "it.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DraftwiseError, match=r"it.json") as caught:
        read_json(tmp_path / "it.json")
    assert "\n" not in str(caught.value)
