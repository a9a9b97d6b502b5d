"""Rule 12: records are append-only lines with a schema version; a killed run goes on, a torn last line is repaired.

tests/bench/test_killed.py and test_full_disk.py do this at random moments and at every file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bed import Machine, bench, settings, summary_of

from draftwise.analysis.run import load_run
from draftwise.bench.records import SCHEMA, Sample, read_samples
from draftwise.errors import DraftwiseError

LOGS = ("checks.jsonl", "records.jsonl", "sessions.jsonl")
FILES = ("run.json", "costs.json", "end.json")


def keys(samples: list[Sample]) -> list[tuple[Any, ...]]:
    return sorted((s.order, s.prompt_id, s.turn, s.method, s.session, s.repeat, s.seed, s.new_tokens) for s in samples)


def test_every_line_and_file_gives_its_schema(tmp_path: Path) -> None:
    bench(Machine(), tmp_path)
    for name in LOGS:
        lines = (tmp_path / name).read_text("utf-8").splitlines()
        assert lines and all(json.loads(line)["schema"] == SCHEMA for line in lines)
    assert all(json.loads((tmp_path / name).read_text("utf-8"))["schema"] == SCHEMA for name in FILES)


@pytest.mark.parametrize("name", ["records.jsonl", "checks.jsonl"])
def test_planted_a_line_of_another_schema_is_refused(name: str, tmp_path: Path) -> None:
    bench(Machine(), tmp_path)
    path = tmp_path / name
    path.write_text(path.read_text("utf-8").replace(f'"schema":{SCHEMA}', f'"schema":{SCHEMA - 1}', 1), "utf-8")
    with pytest.raises(DraftwiseError, match=f"has schema {SCHEMA - 1}, and this version reads {SCHEMA}"):
        load_run(tmp_path)


def test_what_is_written_is_never_written_again(tmp_path: Path) -> None:
    """At every moment of a run its records begin with what they held a moment before."""
    held = b""

    def look(done: int, total: int, label: str) -> None:
        nonlocal held
        path = tmp_path / "records.jsonl"
        now = path.read_bytes() if path.exists() else b""
        assert now.startswith(held) and (not now or now.endswith(b"\n"))
        held = now

    bench(Machine(), tmp_path, progress=look)
    assert held == (tmp_path / "records.jsonl").read_bytes()


@pytest.mark.parametrize("left", [0.97, 0.5, 0.1])
def test_planted_a_torn_line_is_read_over_and_repaired_and_the_run_goes_on(left: float, tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    expected = keys(bench(Machine(), whole, settings(repeats=2)))
    bench(Machine(), torn, settings(repeats=2))
    path = torn / "records.jsonl"
    data = path.read_bytes()
    cut = data[: int(len(data) * left)]
    assert not cut.endswith(b"\n")
    path.write_bytes(cut)
    taken = len(list(read_samples(torn)))
    assert summary_of(torn)["samples"] == taken == cut.count(b"\n") < len(expected)
    assert not summary_of(torn)["complete"]
    assert keys(bench(Machine(), torn, settings(repeats=2))) == expected
    assert summary_of(torn)["complete"]
    aside = (torn / "records.torn").read_bytes()
    assert cut.rsplit(b"\n", 1)[1] in aside  # put aside, not lost
    assert path.read_bytes().startswith(cut[: cut.rindex(b"\n") - len(aside)])


def test_planted_a_line_spoilt_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    bench(Machine(), tmp_path)
    path = tmp_path / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3][:40] + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(DraftwiseError, match=r"records\.jsonl, line 4 is not a record"):
        load_run(tmp_path)
