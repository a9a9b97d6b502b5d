from __future__ import annotations

import json
from pathlib import Path

import pytest

from draftwise.bench import prepare_directory
from draftwise.bench.records import Record, RoundCounts, RunWriter, read_records, read_run
from draftwise.errors import DraftwiseError

RECORD = Record(
    prompt_id="a",
    subtask="qa",
    turn=0,
    method="sps",
    repeat=0,
    order=0,
    seed=2**62,
    prompt_tokens=4,
    new_tokens=(5, 6, 7),
    rounds=(RoundCounts(4, 1, 2), RoundCounts(4, 0, 1)),
    finish_reason="eos",
    text=" schön\n",
    prefill_ns=1,
    ttft_ns=2,
    decode_ns=3,
    total_ns=5,
)


def written(directory: Path, count: int = 3) -> Path:
    with RunWriter(directory, {"settings": {}}) as writer:
        for _ in range(count):
            writer.add(RECORD)
    return directory / "records.jsonl"


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    written(tmp_path, 2)
    assert read_records(tmp_path) == [RECORD, RECORD]
    assert read_run(tmp_path) == {"schema": 2, "settings": {}}


def test_a_line_is_on_the_disk_as_soon_as_it_is_added(tmp_path: Path) -> None:
    with RunWriter(tmp_path, {}) as writer:
        writer.add(RECORD)
        assert read_records(tmp_path) == [RECORD]


@pytest.mark.parametrize("cut", [1, 2, 40, 200])
def test_a_torn_last_line_is_passed_over(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_records(tmp_path) == [RECORD, RECORD]


def test_a_spoilt_line_before_the_last_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:50], lines[2]]) + "\n")
    with pytest.raises(DraftwiseError, match="line 2 is not a record"):
        read_records(tmp_path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, 1)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 1}) + "\n")
    with pytest.raises(DraftwiseError, match="schema 1, and this version reads 2"):
        read_records(tmp_path)


def test_a_directory_without_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DraftwiseError, match="cannot be read"):
        read_records(tmp_path)
    with pytest.raises(DraftwiseError, match="holds no run"):
        read_run(tmp_path)


@pytest.mark.parametrize("name", ["run.json", "records.jsonl", "summary.json", "experiment.json"])
def test_a_directory_that_holds_a_run_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    for attempt in (lambda: prepare_directory(tmp_path), lambda: RunWriter(tmp_path, {})):
        with pytest.raises(DraftwiseError, match=f"{tmp_path} already holds a run .*another output directory"):
            attempt()
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == "precious"


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(DraftwiseError, match="file.*give another"):
            prepare_directory(path)


def test_a_place_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(DraftwiseError, match="/proc/nowhere"):
        RunWriter(Path("/proc/nowhere/run"), {})


def test_nothing_is_made_before_the_run_begins(tmp_path: Path) -> None:
    assert prepare_directory(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_without_a_name_a_run_is_called_by_its_time() -> None:
    assert prepare_directory(None).parent == Path("runs")
