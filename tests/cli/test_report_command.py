"""``draftwise report`` on a small real run, and on what is left of it when it is killed."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from harness import Outcome, Pair, Run

from draftwise.cli.report import SUFFIXES
from draftwise.report.formats import DOCUMENTS, ROWS, TABLES
from draftwise.report.lines import result_lines

SMALL = ("--subtasks", "qa,law analytics", "--limit", 2, "--repeats", 2, "--max-new-tokens", 8, "--ignore-eos")
COMMAND = (sys.executable, "-m", "draftwise.cli.main")
TASKS, CELLS, REPEATS = 4, 4, 2


def call(*arguments: object) -> Outcome:
    done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def finished(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("report") / "run"
    done = call("bench", *pair.options, *SMALL, "--output", output)
    assert done.code == 0, done.err
    return output


@pytest.fixture
def directory(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run, without what is made from the rest."""
    for name in ("summary.json", "report.html"):
        (finished / name).unlink(missing_ok=True)
    return Path(shutil.copytree(finished, tmp_path / "run"))


def kill(directory: Path, samples: int) -> None:
    """Leave what a run has on the disk that is killed while it writes a sample."""
    (directory / "end.json").unlink()
    lines = (directory / "records.jsonl").read_bytes().splitlines(keepends=True)
    (directory / "records.jsonl").write_bytes(b"".join(lines[:samples]) + lines[samples][:40])


def files(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in os.listdir(directory)}


def test_by_default_the_tables_are_printed_and_the_page_is_written(run: Run, directory: Path) -> None:
    before = files(directory)
    outcome = run("report", directory)
    assert outcome.code == 0, outcome.err
    assert "Overall Result: AS: " in outcome.out and "by subtask" in outcome.out
    assert outcome.out.split()[-2:] == ["page", str(directory / "report.html")]
    after = files(directory)
    assert b"<!DOCTYPE html>" in after.pop("report.html")[:100]
    assert after == before


def test_every_format_is_known_to_the_command_and_to_the_writers() -> None:
    assert SUFFIXES.keys() == {"html", *TABLES, *DOCUMENTS}
    assert ROWS.keys() == {"figures", "samples"}


def test_text_is_the_lines_alone(run: Run, directory: Path) -> None:
    outcome = run("report", directory, "--format", "text")
    assert (outcome.code, outcome.err) == (0, "")
    summary = json.loads(run("report", directory, "--format", "json").out)
    assert outcome.out.splitlines() == result_lines(summary) and len(result_lines(summary)) == 3 * 2
    assert not (directory / "report.html").exists()


def test_json_is_the_summary_of_the_records(run: Run, directory: Path) -> None:
    summary = json.loads(run("report", directory, "--format", "json").out)
    assert summary["complete"] and summary["samples"] == TASKS * CELLS * REPEATS
    assert list(summary["overall"]) == ["as", "as*", "sps", "bild"]


def test_markdown_holds_every_part(run: Run, directory: Path) -> None:
    out = run("report", directory, "--format", "md").out
    assert out.startswith("# draftwise\n") and "| subtask law analytics | SPS |" in out
    for heading in ("Speed", "Answers", "Acceptance", "Where the time went", "Samples", "Settings", "Environment"):
        assert f"\n## {heading}\n" in out


def test_csv_has_a_row_for_each_part_and_method_or_each_sample(run: Run, directory: Path) -> None:
    figures = list(csv.DictReader(io.StringIO(run("report", directory, "--format", "csv").out)))
    assert len(figures) == 3 * CELLS and {"speedup_low", "time_verify", "acceptance_rate"} <= figures[0].keys()
    samples = list(csv.DictReader(io.StringIO(run("report", directory, "--format", "csv", "--rows", "samples").out)))
    assert [int(row["order"]) for row in samples] == list(range(TASKS * CELLS * REPEATS))
    assert all(len(row["token_ids"].split()) == int(row["new_tokens"]) == 8 for row in samples)


def test_every_leaf_of_a_real_summary_is_a_column_of_parquet(run: Run, directory: Path) -> None:
    outcome = run("report", directory, "--format", "parquet")
    assert outcome.code == 0 and outcome.err.endswith(f"written to {directory / 'report.parquet'}\n")
    summary = json.loads(run("report", directory, "--format", "json").out)
    rows = {(row["subtask"], row["method"]): row for row in pq.read_table(directory / "report.parquet").to_pylist()}
    for part, cells in {None: summary["overall"], **summary["subtasks"]}.items():
        for method, figures in cells.items():
            for name, value in leaves(figures):
                assert rows[part, method][name] == value, (part, method, name)


def leaves(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Every value of some figures with its column, but for tables and lists that are None."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{name}_{key}".strip("_"))]
    if isinstance(value, list):
        first = 0 if name.endswith("histogram") else 1
        return [leaf for place, inner in enumerate(value, first) for leaf in leaves(inner, f"{name}_{place}")]
    return [] if value is None else [(name, value)]


def test_samples_as_parquet_have_a_file_of_their_own(run: Run, directory: Path) -> None:
    assert run("report", directory, "--format", "parquet", "--rows", "samples").code == 0
    assert pq.read_table(directory / "samples.parquet").num_rows == TASKS * CELLS * REPEATS
    assert not (directory / "report.parquet").exists()


@pytest.mark.parametrize("name", ["out.md", "out.CSV", "out.json", "out.parquet", "out.html", "out.txt"])
def test_the_name_of_the_output_tells_the_format(run: Run, directory: Path, name: str) -> None:
    path = directory.parent / name
    outcome = run("report", directory, "--output", path)
    assert outcome.code == 0, outcome.err
    starts = {
        "md": b"# draftwise",
        "csv": b"part,",
        "json": b"{",
        "parquet": b"PAR1",
        "html": b"<!DOCTYPE",
        "txt": b"Ov",
    }
    assert path.read_bytes().startswith(starts[name.split(".")[1].lower()])
    assert str(path) in (outcome.out if name.endswith("html") else outcome.err)
    assert sorted(os.listdir(directory.parent)) == sorted(["run", name])


@pytest.mark.parametrize("form", list(SUFFIXES))
def test_a_killed_run_is_reported_in_every_format(run: Run, directory: Path, form: str) -> None:
    kill(directory, 13)
    outcome = run("report", directory, "--format", form)
    assert outcome.code == 0, outcome.err
    if form == "json":
        summary = json.loads(outcome.out)
        assert (summary["complete"], summary["samples"]) == (False, 13)
    if form in ("html", "md"):
        assert "The run is incomplete: 13 of 32 samples were taken." in " ".join(outcome.out.split())


def test_a_run_that_was_killed_before_its_first_sample_is_reported(run: Run, directory: Path) -> None:
    kill(directory, 0)
    (directory / "checks.jsonl").unlink()
    (directory / "costs.json").unlink()
    for form in SUFFIXES:
        outcome = run("report", directory, "--format", form)
        assert outcome.code == 0, (form, outcome.err)
    assert run("report", directory, "--format", "text").out == ""


def test_a_directory_without_a_run_is_refused(run: Run, tmp_path: Path) -> None:
    run("report", tmp_path).refused_with("holds no run", str(tmp_path))
    run("report", tmp_path / "nowhere").refused_with("holds no run")
    (tmp_path / "file").write_text("")
    run("report", tmp_path / "file").refused_with("holds no run")


def test_what_cannot_be_done_is_refused_in_one_line(
    run: Run, directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run("report", directory, "--rows", "samples").refused_with("--rows samples", "csv or parquet", "html")
    run("report", directory, "--rows", "samples", "--format", "md").refused_with("--rows samples", "md")
    run("report", directory, "--format", "xml").refused_with("'xml'", "parquet")
    before = files(directory)
    run("report", directory, "--format", "csv", "--output", directory / "records.jsonl").refused_with("overwrite")
    run("report", directory, "--format", "csv", "--output", tmp_path / "no" / "a.csv").refused_with("cannot be written")
    assert files(directory) == before


def test_parquet_is_not_written_to_a_terminal(run: Run, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    run("report", directory, "--format", "parquet", "--output", "-").refused_with("terminal", "--output")


def test_parquet_and_the_page_go_down_a_pipe_alone(directory: Path) -> None:
    for form, start in (("parquet", b"PAR1"), ("html", b"<!DOCTYPE")):
        command = [*COMMAND, "report", str(directory), "--format", form, "--output", "-"]
        assert subprocess.run(command, capture_output=True, check=True).stdout.startswith(start)


def test_a_reader_that_goes_away_is_no_error(directory: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [*COMMAND, "report", str(directory), "--format", "json"]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writer)
    assert done.stderr == ""


def test_the_runs_of_an_experiment_are_reported_one_by_one(run: Run, directory: Path, tmp_path: Path) -> None:
    root = tmp_path / "experiment"
    for folder in ("01-a", "02-b"):
        shutil.copytree(directory, root / folder)
    rows = [{"label": f"run {name}", "directory": name, "settings": {}} for name in ("01-a", "02-b", "03-c")]
    (root / "experiment.json").write_text(json.dumps({"schema": 3, "runs": rows}))
    outcome = run("report", root)
    assert outcome.code == 0, outcome.err
    assert (root / "01-a" / "report.html").exists() and (root / "02-b" / "report.html").exists()
    assert "all 2 runs, overall" in outcome.out and "run 02-b: Overall Result: AS: " in outcome.out
    assert "the run run 03-c has not begun" in outcome.err
    table = list(csv.DictReader(io.StringIO(run("report", root, "--format", "csv").out)))
    assert {row["run"] for row in table} == {"run 01-a", "run 02-b"} and len(table) == 2 * 3 * CELLS
    assert len(json.loads(run("report", root, "--format", "json").out)["runs"]) == 2
    run("report", root, "--output", tmp_path / "one.html").refused_with("--output names one file", "2 pages")
