from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from draftwise.bench.records import Check, RoundTrace, Sample, read_checks, read_samples, to_line
from draftwise.errors import DraftwiseError

SAMPLE = Sample(
    prompt_id="a",
    subtask="qa",
    turn=0,
    method="sps",
    session=1,
    repeat=2,
    order=7,
    seed=2**63 - 1,
    prompt_tokens=4,
    new_tokens=(5, 6, 7),
    passes=2,
    compilations=0,
    prefill_ns=1,
    ttft_ns=2,
    decode_ns=3,
    total_ns=5,
)
CHECK = Check(
    prompt_id="a",
    subtask="qa",
    turn=0,
    method="sps",
    seed=2**63 - 1,
    prompt_tokens=4,
    new_tokens=(5, 6, 7),
    pieces=(" sch", "ön", "\n"),
    finish_reason="eos",
    text=" schön\n",
    score=None,
    rounds=(RoundTrace((5, 9), 1, 2, 2, 10, 20, 3, 4, 0), RoundTrace((), 0, 1, 0, 0, 20, 3, 4, 0)),
)


def written(directory: Path, *samples: Sample) -> Path:
    path = directory / "records.jsonl"
    path.write_bytes(b"".join(map(to_line, samples)))
    return path


def read(directory: Path) -> list[Sample]:
    return list(read_samples(directory))


def test_samples_and_checks_come_back_as_they_were(tmp_path: Path) -> None:
    written(tmp_path, SAMPLE, SAMPLE)
    other = msgspec.structs.replace(CHECK, turn=1, score=0.5)
    (tmp_path / "checks.jsonl").write_bytes(to_line(CHECK) + to_line(CHECK) + to_line(other))
    assert read(tmp_path) == [SAMPLE, SAMPLE]
    assert list(read_checks(tmp_path)) == [[CHECK, CHECK], [other]]


def test_a_line_is_json_that_begins_with_the_schemas_version() -> None:
    for record in (SAMPLE, CHECK):
        line = to_line(record)
        assert line.startswith(b'{"schema":3,') and line.endswith(b"}\n") and line.count(b"\n") == 1
        assert json.loads(line).keys() == set(record.__struct_fields__)


@pytest.mark.parametrize(
    "text",
    [
        "a\u2028b\u2029c\x85d",
        "tab\tline\nreturn\r\x0b\x0c",
        "NUL\0",
        "\x1b[31m\x7f",
        '"\\',
        "\U0001f600",
        "<script>",
        "",
    ],
)
def test_whatever_a_model_wrote_stays_on_one_line(tmp_path: Path, text: str) -> None:
    odd = msgspec.structs.replace(CHECK, text=text, pieces=(text,))
    line = to_line(odd)
    assert line.count(b"\n") == 1 and b"\r" not in line
    (tmp_path / "checks.jsonl").write_bytes(line * 2)
    assert list(read_checks(tmp_path)) == [[odd, odd]]


def test_a_torn_last_line_is_passed_over_wherever_it_was_cut(tmp_path: Path) -> None:
    path = written(tmp_path, SAMPLE, SAMPLE)
    data = path.read_bytes()
    for size in range(len(data) // 2, len(data)):
        path.write_bytes(data[:size])
        assert read(tmp_path) == [SAMPLE]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line[:50],
        lambda line: b"",
        lambda line: b"\xff\xfe" + line,
        lambda line: b"\0" * 20,
        lambda line: line.replace(b'"turn":0', b'"turn":"0"'),
        lambda line: line.replace(b'"turn":0,', b""),
        lambda line: line.replace(b'"sps"', b'"\xff"'),
        lambda line: line.replace(b'"sps"', b'"\\ud800"'),
        lambda line: b"[]",
        lambda line: b"7",
    ],
)
def test_a_spoilt_line_before_the_last_is_an_error(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = written(tmp_path, SAMPLE, SAMPLE, SAMPLE)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], spoil(lines[1]), lines[2]]) + b"\n")
    with pytest.raises(DraftwiseError, match=r"records.jsonl, line 2 is not a record") as caught:
        read(tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("schema", [1, 2, 4, None, "3"])
def test_another_schema_is_refused(tmp_path: Path, schema: object) -> None:
    path = written(tmp_path, SAMPLE)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": schema}) + "\n")
    with pytest.raises(DraftwiseError, match=f"line 1 has schema {schema!r}, and this version reads 3"):
        read(tmp_path)


def test_a_line_of_the_schema_before_is_refused_by_its_schema(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text('{"schema": 2, "prompt_id": "a", "rounds": [[4, 1, 2]]}\n')
    with pytest.raises(DraftwiseError, match="has schema 2"):
        read(tmp_path)


def test_a_directory_without_records_is_an_error(tmp_path: Path) -> None:
    for attempt in (read_samples, read_checks):
        with pytest.raises(DraftwiseError, match=r"s\.jsonl cannot be read: No such file"):
            list(attempt(tmp_path))  # type: ignore[arg-type]
