"""A disk that takes no more: one line, exit code 2, everything saved stays whole, and the same command goes on."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from fakes import bench, groups, taken
from nursery import Nursery

from draftwise.bench import files
from draftwise.bench.files import Log, write_whole
from draftwise.bench.records import read_checks, read_samples
from draftwise.errors import DraftwiseError

WRITTEN = (
    "prompts.jsonl",
    "inputs.jsonl",
    "run.json",
    "checks.jsonl",
    "costs.json",
    "sessions.jsonl",
    "records.jsonl",
    "end.json",
    "summary.json",
    "report.html",
)
"""What a run writes, in this order."""


@pytest.fixture(scope="module")
def calm(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    directory = tmp_path_factory.mktemp("calm") / "run"
    assert nursery.run(*bench(directory, repeats=2), fake=True).code == 0
    return directory


def assert_intact(directory: Path) -> None:
    """Every line and every small file that is there is whole, and so is every group of lines."""
    for path in directory.glob("*.jsonl") if directory.exists() else ():
        data = path.read_bytes()
        assert data == b"" or data.endswith(b"\n"), path
        assert all(isinstance(json.loads(line), dict) for line in data.splitlines()), path
    for path in directory.glob("*.json"):
        assert isinstance(json.loads(path.read_text("utf-8")), dict), path
    if (directory / "checks.jsonl").exists():
        assert all(len(group) == 3 for group in read_checks(directory))
    if (directory / "records.jsonl").exists():
        assert all(len(group) == 3 for group in groups(list(read_samples(directory))))
    assert not list(directory.glob(".*"))


def assert_stopped_and_goes_on(nursery: Nursery, directory: Path, calm: Path, **planted: Any) -> str:
    """Run with a misfortune, look at what is left, and run again without it; the name of the file that struck."""
    ended = nursery.run(*bench(directory, repeats=2), fake=True, **planted)
    complaint = ended.complaint
    assert "cannot grow" in complaint and "what is saved stands" in complaint, complaint
    assert_intact(directory)
    again = nursery.run(*bench(directory, repeats=2), fake=True)
    assert again.code == 0, again
    assert taken(directory) == taken(calm)
    assert {path.name for path in directory.iterdir()} == {path.name for path in calm.iterdir()}
    return Path(complaint.split(" cannot grow")[0]).name


def test_the_files_of_a_run_are_those_that_are_tried(calm: Path) -> None:
    assert {path.name for path in calm.iterdir()} == set(WRITTEN)


@pytest.mark.parametrize(
    ("share", "some"),
    [
        (0.1, {"prompts.jsonl", "report.html"}),
        (0.5, {"prompts.jsonl", "run.json", "checks.jsonl", "report.html"}),
        (0.9, {"prompts.jsonl", "run.json", "checks.jsonl", "records.jsonl", "summary.json", "report.html"}),
    ],
)
def test_a_limit_on_the_size_of_files_strikes_wherever_a_file_outgrows_it(
    nursery: Nursery, calm: Path, tmp_path: Path, share: float, some: set[str]
) -> None:
    """The limit is a share of each file's size in turn, so another file is the first that doesn't fit."""
    struck = set()
    for name in WRITTEN:
        size = max(1, int((calm / name).stat().st_size * share))
        struck.add(assert_stopped_and_goes_on(nursery, tmp_path / name, calm, size=size))
    assert some <= struck


@pytest.mark.parametrize("name", WRITTEN)
def test_a_disk_that_is_full_when_a_file_is_written(nursery: Nursery, calm: Path, tmp_path: Path, name: str) -> None:
    for good in (0, 3) if name in ("checks.jsonl", "records.jsonl") else (0,):
        planted = {"name": name, "good": good}
        assert assert_stopped_and_goes_on(nursery, tmp_path / str(good), calm, full=planted) == name


def test_a_disk_that_stays_full_says_the_same_each_time_and_loses_nothing(nursery: Nursery, tmp_path: Path) -> None:
    said, sizes = set(), []
    for _ in range(3):
        said.add(nursery.run(*bench(tmp_path / "run"), fake=True, size=11_000).complaint)
        sizes.append((tmp_path / "run" / "records.jsonl").stat().st_size)
    assert len(said) == 1 and len(set(sizes)) == 1 and sizes[0] > 0


def test_a_directory_that_becomes_read_only_is_told(
    nursery: Nursery, calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "end.json"
    path.write_text("old")

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(files.os, "replace", refused)
    with pytest.raises(DraftwiseError, match=r"end.json cannot be written: Read-only file system; make it writable"):
        write_whole(path, "new")
    assert [item.name for item in tmp_path.iterdir()] == ["end.json"] and path.read_text() == "old"
    monkeypatch.setattr(files.os, "open", refused)
    with pytest.raises(DraftwiseError, match=r"records.jsonl cannot be written: Read-only file system"):
        Log(tmp_path / "records.jsonl")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_group_that_goes_half_way_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    write, fsync = os.write, os.fsync
    with Log(tmp_path / "log") as log:
        log.append([b"one\n", b"two\n"])

        def fail(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        def half(file: int, data: bytes) -> int:
            monkeypatch.setattr(os, "write", fail)
            return write(file, data[: len(data) // 2])

        for plant in ({"write": half}, {"write": fail}, {"fsync": fail}):
            for name, planted in plant.items():
                monkeypatch.setattr(os, name, planted)
            with pytest.raises(DraftwiseError, match="log cannot"):
                log.append([b"three\n", b"four\n"])
            monkeypatch.setattr(os, "write", write)
            monkeypatch.setattr(os, "fsync", fsync)
            assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"
        log.append([b"five\n"])
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\nfive\n"
