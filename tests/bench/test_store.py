"""A run's directory: made where it may be, read again, and repaired."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fakes import METHODS, FakeEngine, models, prompts

from draftwise.bench import BenchSettings
from draftwise.bench.records import Sample, to_line
from draftwise.bench.runner import run_bench
from draftwise.bench.store import RunStore, check_directory, last_session, make_directory, new_directory, read_run
from draftwise.errors import DraftwiseError
from draftwise.tasks import load_suite

SAMPLE = Sample(
    prompt_id="a",
    subtask="qa",
    turn=0,
    method="as",
    session=0,
    repeat=0,
    order=0,
    seed=0,
    prompt_tokens=4,
    new_tokens=(5,),
    passes=1,
    compilations=0,
    prefill_ns=1,
    ttft_ns=2,
    decode_ns=3,
    total_ns=5,
)


def group(prompt: str, *labels: str) -> list[Sample]:
    return [msgspec.structs.replace(SAMPLE, prompt_id=prompt, method=label) for label in labels or METHODS]


def store_with(directory: Path, *samples: list[Sample]) -> RunStore:
    lines = [to_line(sample) for group in samples for sample in group]
    (directory / "records.jsonl").write_bytes(b"".join(lines))
    return RunStore(directory, {}, (), {})


def test_what_a_run_began_with_comes_back(settings: BenchSettings, tmp_path: Path) -> None:
    run_bench(lambda: models(FakeEngine()), settings, load_suite("small"), tmp_path)
    store = RunStore.open(tmp_path)
    assert store.prompts == tuple(prompts()) and store.header == read_run(tmp_path)
    assert [len(ids) for ids in store.inputs.values()][:2] == [len("Hello 0"), len("Hello 1")]
    assert BenchSettings.from_record(store.header["settings"]) == settings


def test_prompts_and_ids_are_written_before_what_makes_a_run_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from draftwise.bench import store

    written: list[str] = []
    real = store.write_whole
    monkeypatch.setattr(store, "write_whole", lambda path, text: written.append(path.name) or real(path, text))
    RunStore.create(tmp_path, {"settings": {}, "environment": {}, "planned": 0}, prompts(), {("qa-0", 0): [1, 2]})
    assert written == ["prompts.jsonl", "inputs.jsonl", "run.json"]


def test_whole_groups_are_found_and_none_is_touched(tmp_path: Path) -> None:
    store = store_with(tmp_path, group("a"), group("b", "sps", "bild", "as"))
    before = (tmp_path / "records.jsonl").read_bytes()
    assert store.sampled(METHODS) == {(0, 0, ("a", 0)), (0, 0, ("b", 0))}
    assert (tmp_path / "records.jsonl").read_bytes() == before


def test_a_group_that_is_short_of_a_cell_is_put_aside(tmp_path: Path) -> None:
    store = store_with(tmp_path, group("a"), group("b", "as", "sps"))
    assert store.sampled(METHODS) == {(0, 0, ("a", 0))}
    assert (tmp_path / "records.jsonl").read_bytes() == b"".join(map(to_line, group("a")))
    assert (tmp_path / "records.torn").read_bytes() == b"".join(map(to_line, group("b", "as", "sps")))


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([group("a", "as", "sps"), group("b")], "line 3: the group of samples before it is not whole"),
        ([group("a", "as", "as", "sps")], "line 2: a sample of 'as' that was not planned"),
        ([group("a"), group("b"), group("a")], "line 7: a sample of 'as' that was not planned"),
        ([group("a", "as", "sps", "magic")], "line 3: a sample of 'magic' that was not planned"),
        ([group("a", "as", "sps", "bild", "bild")], "line 4: a sample of 'bild' that was not planned"),
    ],
)
def test_records_that_no_run_leaves_are_refused_and_stay(
    tmp_path: Path, samples: list[list[Sample]], words: str
) -> None:
    store = store_with(tmp_path, *samples)
    before = (tmp_path / "records.jsonl").read_bytes()
    with pytest.raises(DraftwiseError, match=words):
        store.sampled(METHODS)
    assert (tmp_path / "records.jsonl").read_bytes() == before


@pytest.mark.parametrize("spoil", [b"{}", b"", b"\0\0\0", b"\xff", b'{"prompt_id": "\xff", "turn": 0, "method": "as"}'])
def test_a_spoilt_line_is_named(tmp_path: Path, spoil: bytes) -> None:
    store = store_with(tmp_path, group("a"))
    with open(tmp_path / "records.jsonl", "ab") as file:
        file.write(spoil + b"\n")
    with pytest.raises(DraftwiseError, match=r"records.jsonl, line 4 is not a record"):
        store.sampled(METHODS)


def test_zeros_that_a_crash_of_the_machine_left_at_the_end_are_cut_off(tmp_path: Path) -> None:
    store = store_with(tmp_path, group("a"))
    whole = (tmp_path / "records.jsonl").read_bytes()
    (tmp_path / "records.jsonl").write_bytes(whole + b"\0" * 4096)
    assert store.sampled(METHODS) == {(0, 0, ("a", 0))}
    assert (tmp_path / "records.jsonl").read_bytes() == whole


def test_a_torn_line_of_a_session_is_mended_by_the_next(tmp_path: Path) -> None:
    store = RunStore(tmp_path, {}, (), {})
    assert last_session(tmp_path) is None
    store.note_session({"session": 0, "when": "begin", "odd\udcff": "a\u2028b"})
    with open(tmp_path / "sessions.jsonl", "ab") as file:
        file.write(b'{"schema": 3, "sess')
    found = last_session(tmp_path)
    assert found is not None and found["odd\udcff"] == "a\u2028b"
    store.note_session({"session": 0, "when": "end"})
    lines = [json.loads(line) for line in (tmp_path / "sessions.jsonl").read_bytes().splitlines()]
    assert [line["when"] for line in lines] == ["begin", "end"] and lines[0]["pid"] == lines[1]["pid"] > 0


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        for attempt in (check_directory, make_directory):
            with pytest.raises(DraftwiseError, match="file.*give another"):
                attempt(path)


@pytest.mark.parametrize("attempt", [check_directory, make_directory])
def test_a_place_that_cannot_be_used_is_refused(tmp_path: Path, attempt: Callable[[Path], Any]) -> None:
    with pytest.raises(DraftwiseError, match=r"cannot be written: File name too long"):
        attempt(tmp_path / ("x" * 300))


def test_a_directory_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(DraftwiseError, match="/proc/nowhere"):
        make_directory(Path("/proc/nowhere/run"))


def test_nothing_is_made_before_the_run_begins(tmp_path: Path) -> None:
    assert check_directory(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_without_a_name_a_run_is_called_by_its_time() -> None:
    assert new_directory().parent == Path("runs") and new_directory().name.endswith("Z")


def test_a_directory_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(DraftwiseError, match="holds no run: run.json is not there"):
        read_run(tmp_path)
