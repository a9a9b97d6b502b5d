"""The formats for other programs and for GitHub, from a summary or from records."""

from __future__ import annotations

import builtins
import csv
import io
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from summaries import make_summary

from draftwise.bench.records import Sample, to_line
from draftwise.errors import DraftwiseError
from draftwise.report import formats
from draftwise.report.formats import Place, find_runs, output_file, write_format
from draftwise.report.lines import result_lines
from draftwise.report.rows import IDS, NUMBER, TEXT, WHOLE, Column, Rows, figure_rows, sample_rows
from draftwise.report.tabular import write_csv, write_parquet


def sample(order: int = 0, **changes: Any) -> Sample:
    values: dict[str, Any] = {
        "prompt_id": "qa-0",
        "subtask": "qa",
        "turn": 0,
        "method": "sps",
        "session": 0,
        "repeat": 1,
        "order": order,
        "seed": (1 << 62) + order,
        "prompt_tokens": 9,
        "new_tokens": (5, 6, 2),
        "passes": 2,
        "compilations": 0,
        "prefill_ns": 10,
        "ttft_ns": 15,
        "decode_ns": 90,
        "total_ns": 110,
    }
    return Sample(**(values | changes))


def save_samples(directory: Path, samples: list[Sample]) -> Path:
    """As much of a run as its samples need."""
    directory.mkdir(parents=True, exist_ok=True)
    header = {"schema": 3, "settings": {"decoding": {"max_new_tokens": 30}}, "environment": {}, "planned": 2}
    (directory / "run.json").write_text(json.dumps(header))
    (directory / "records.jsonl").write_bytes(b"".join(map(to_line, samples)))
    return directory


def as_csv(table: Rows) -> list[dict[str, str]]:
    file = io.BytesIO()
    write_csv(table, file)
    return list(csv.DictReader(io.StringIO(file.getvalue().decode(), newline="")))


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


class TestFigures:
    def test_there_is_a_row_for_each_part_and_cell(self) -> None:
        rows = as_csv(figure_rows([("", make_summary())]))
        parts = [("overall", ""), ("subtask", "multi-turn"), ("subtask", "grammar correction")]
        wanted = [(*part, method) for part in parts for method in ("as", "as*", "sps", "bild")]
        assert [(row["part"], row["subtask"], row["method"]) for row in rows] == wanted

    def test_every_leaf_of_the_figures_has_a_column_of_its_own(self) -> None:
        """Each leaf gets a value that no other has, and is looked for in its row."""
        summary = make_summary()
        counter = iter(range(1000, 9999))

        def numbered(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: numbered(inner) for name, inner in value.items()}
            if isinstance(value, list):
                return [numbered(inner) for inner in value]
            return next(counter)

        own = numbered(summary["overall"]["bild"])
        summary["overall"]["bild"] = own
        row = as_csv(figure_rows([("", summary)]))[3]
        assert sorted(leaves(own)) == sorted(int(value) for value in row.values() if value.isdigit())

    def test_columns_are_named_by_the_way_to_their_figure(self) -> None:
        row = as_csv(figure_rows([("", make_summary())]))[2]
        assert (row["acceptance_rate"], row["acceptance_unconditional_2"], row["acceptance_histogram_0"]) == (
            "0.61",
            "0.64",
            "5",
        )
        assert (row["option_gamma"], row["time_verify"], row["cost_v_1"], row["lossless"]) == (
            "4",
            "0.5",
            "1.0",
            "true",
        )
        names = list(row)
        at = names.index("acceptance_unconditional_1")
        assert names[at : at + 6] == [f"acceptance_unconditional_{place}" for place in range(1, 7)]
        assert "acceptance" not in names and "cost" not in names and "run" not in names

    def test_a_name_that_says_two_things_is_told_apart_and_one_that_says_the_same_is_not(self) -> None:
        summary = make_summary()
        assert "acceptance__rate" not in as_csv(figure_rows([("", summary)]))[0]
        summary["overall"]["sps"] = summary["overall"]["sps"] | {"acceptance_rate": 0.5}
        row = as_csv(figure_rows([("", summary)]))[2]
        assert (row["acceptance_rate"], row["acceptance__rate"]) == ("0.5", "0.61")

    def test_a_subtask_named_overall_is_no_other_row(self) -> None:
        summary = make_summary()
        summary["subtasks"] = {"overall": summary["overall"]}
        rows = as_csv(figure_rows([("", summary)]))
        assert [(row["part"], row["subtask"]) for row in rows[3:5]] == [("overall", ""), ("subtask", "overall")]

    def test_the_runs_of_an_experiment_are_told_apart(self) -> None:
        rows = as_csv(figure_rows([("temperature=0", make_summary()), ("temperature=1", make_summary())]))
        assert [row["run"] for row in rows] == ["temperature=0"] * 12 + ["temperature=1"] * 12

    def test_parquet_has_the_same_values_with_their_types(self) -> None:
        file = io.BytesIO()
        write_parquet(figure_rows([("", make_summary())]), file)
        table = pq.read_table(file)
        assert len(set(table.column_names)) == len(table.column_names) and table.num_rows == 12
        row = table.to_pylist()[2]
        assert (row["speedup"], row["samples"], row["lossless"], row["verdict"]) == (1.87, 18, True, "faster")
        assert row["cost_formula_speedup"] is None and str(table.schema.field("cost_formula_speedup").type) == "double"


class TestSamples:
    def test_every_sample_is_a_row_with_its_ids_and_its_fault(self, tmp_path: Path) -> None:
        place = save_samples(tmp_path, [sample(), sample(1, compilations=1), sample(2, new_tokens=())])
        rows = as_csv(sample_rows([("", place)]))
        assert [row["order"] for row in rows] == ["0", "1", "2"]
        assert rows[0]["seed"] == str(1 << 62) and rows[0]["token_ids"] == "5 6 2" and rows[0]["new_tokens"] == "3"
        assert [row["fault"] for row in rows] == ["", "a program was compiled within the sample", "no new tokens"]
        assert set(Sample.__struct_fields__) - {"schema"} <= rows[0].keys()

    def test_parquet_keeps_ids_as_numbers(self, tmp_path: Path) -> None:
        file = io.BytesIO()
        write_parquet(sample_rows([("", save_samples(tmp_path, [sample(), sample(1)]))]), file)
        rows = pq.read_table(file).to_pylist()
        assert rows[1]["token_ids"] == [5, 6, 2] and rows[1]["seed"] == (1 << 62) + 1 and rows[1]["fault"] is None

    def test_a_run_that_was_stopped_before_its_first_sample_has_a_head_and_no_row(self, tmp_path: Path) -> None:
        place = save_samples(tmp_path, [])
        (place / "records.jsonl").unlink()
        file = io.BytesIO()
        write_csv(sample_rows([("", place)]), file)
        assert file.getvalue().decode().startswith("prompt_id,subtask,") and file.getvalue().count(b"\n") == 1
        write_parquet(sample_rows([("", place)]), io.BytesIO())

    def test_a_torn_last_line_is_passed_over(self, tmp_path: Path) -> None:
        place = save_samples(tmp_path, [sample(), sample(1)])
        whole = (place / "records.jsonl").read_bytes()
        (place / "records.jsonl").write_bytes(whole[:-20])
        assert len(as_csv(sample_rows([("", place)]))) == 1

    @pytest.mark.parametrize("write", [write_csv, write_parquet])
    def test_rows_are_written_as_they_come(self, write: Any, tmp_path: Path) -> None:
        """A hundred thousand rows of 1 kB take no more memory than a batch of them."""

        def rows() -> Iterator[tuple[Any, ...]]:
            for place in range(100_000):
                yield (place, str(place) * 100, (1, 2, 3), 0.5)

        table = Rows((Column("a", WHOLE), Column("b", TEXT), Column("c", IDS), Column("d", NUMBER)), rows())
        with open(tmp_path / "file", "wb") as file:
            tracemalloc.start()
            write(table, file)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 30e6
        assert (tmp_path / "file").stat().st_size > 0


class TestSpreadsheets:
    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
    def test_no_text_begins_as_a_formula(self, start: str) -> None:
        table = Rows((Column("a", TEXT), Column("b", TEXT)), [(f"{start}cmd|' /C calc'!A0", "plain = 1")])
        assert as_csv(table) == [{"a": f"'{start}cmd|' /C calc'!A0", "b": "plain = 1"}]

    def test_numbers_are_left_alone(self) -> None:
        table = Rows((Column("a", NUMBER), Column("b", WHOLE)), [(-0.1, -5), (1e-300, None)])
        assert as_csv(table) == [{"a": "-0.1", "b": "-5"}, {"a": "1e-300", "b": ""}]

    def test_a_hostile_subtask_and_prompt_reach_no_cell_unguarded(self, tmp_path: Path) -> None:
        summary = make_summary()
        summary["subtasks"] = {'=HYPERLINK("http://evil.example")': summary["overall"]}
        rows = as_csv(figure_rows([("", summary)]))
        rows += as_csv(sample_rows([("", save_samples(tmp_path, [sample(prompt_id="@SUM(1)", subtask="+1")]))]))
        cells = [value for row in rows for value in row.values() if value]
        assert all(value[0] not in "=+@" and not (value[0] == "-" and not _is_number(value)) for value in cells)
        assert rows[-1]["prompt_id"] == "'@SUM(1)"

    def test_a_path_that_is_no_utf_8_is_written_with_escapes(self) -> None:
        table = Rows((Column("a", TEXT),), [("x\udcff",)])
        assert as_csv(table) == [{"a": "x\\udcff"}]
        file = io.BytesIO()
        write_parquet(table, file)
        assert pq.read_table(file).to_pylist() == [{"a": "x\\udcff"}]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class TestRuns:
    def test_a_directory_without_a_run_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DraftwiseError, match="holds no run"):
            find_runs(tmp_path)

    def test_the_runs_of_an_experiment_that_have_begun_are_found(self, tmp_path: Path) -> None:
        save_samples(tmp_path / "01-a", [])
        _experiment(tmp_path, "01-a", "02-b")
        assert find_runs(tmp_path) == ([Place("01-a!", tmp_path / "01-a")], ["02-b!"])
        assert find_runs(tmp_path / "01-a") == ([Place("", tmp_path / "01-a")], [])

    def test_an_experiment_without_any_is_refused(self, tmp_path: Path) -> None:
        _experiment(tmp_path, "01-a", "02-b")
        with pytest.raises(DraftwiseError, match="experiment of 2 runs, and none of them has begun"):
            find_runs(tmp_path)

    def test_an_experiment_reaches_no_directory_outside_its_own(self, tmp_path: Path) -> None:
        save_samples(tmp_path / "other", [])
        (tmp_path / "experiment").mkdir()
        _experiment(tmp_path / "experiment", "../other")
        with pytest.raises(DraftwiseError, match="not within"):
            find_runs(tmp_path / "experiment")


def _experiment(directory: Path, *folders: str) -> None:
    rows = [{"label": f"{folder}!", "directory": folder, "settings": {}} for folder in folders]
    (directory / "experiment.json").write_text(json.dumps({"schema": 3, "runs": rows}))


class TestWriting:
    @pytest.fixture(autouse=True)
    def made_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(formats, "load_run", lambda directory: None)
        monkeypatch.setattr(formats, "summarize", lambda run: make_summary())

    def written(self, form: str, *labels: str, rows: str = "figures") -> bytes:
        file = io.BytesIO()
        write_format(form, rows, [Place(label, Path(label or "here")) for label in labels], file)
        return file.getvalue()

    def test_text_is_the_result_lines_and_nothing_else(self) -> None:
        assert self.written("text", "").decode().splitlines() == result_lines(make_summary())
        lines = self.written("text", "t=0", "t=1").decode().splitlines()
        assert lines == [f"{label}: {line}" for label in ("t=0", "t=1") for line in result_lines(make_summary())]

    def test_json_is_the_summary(self) -> None:
        assert json.loads(self.written("json", "")) == make_summary()
        runs = json.loads(self.written("json", "t=0", "t=1"))["runs"]
        assert [(run["label"], run["summary"]["samples"]) for run in runs] == [("t=0", 54), ("t=1", 54)]

    def test_markdown_has_a_heading_for_each_run(self) -> None:
        assert "# draftwise: t=1\n" in self.written("md", "t=0", "t=1").decode()

    def test_samples_stand_only_in_tables(self) -> None:
        with pytest.raises(DraftwiseError, match="--rows samples goes with --format csv or parquet, not json"):
            self.written("json", "", rows="samples")

    def test_without_pyarrow_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = builtins.__import__

        def missing(name: str, *rest: Any) -> Any:
            if name.split(".")[0] == "pyarrow":
                raise ImportError(name)
            return real(name, *rest)

        monkeypatch.setattr(builtins, "__import__", missing)
        with pytest.raises(DraftwiseError) as refused:
            self.written("parquet", "")
        assert 'pip install "draftwise[parquet]"' in str(refused.value) and "\n" not in str(refused.value)


class TestReplacing:
    def test_a_file_stands_under_its_name_only_when_it_is_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "report.csv"
        path.write_text("old")
        with pytest.raises(RuntimeError), output_file(path, []) as file:
            file.write(b"half")
            assert path.read_text() == "old"
            raise RuntimeError
        assert path.read_text() == "old" and os.listdir(tmp_path) == ["report.csv"]
        with output_file(path, []) as file:
            file.write(b"new")
        assert path.read_text() == "new" and os.listdir(tmp_path) == ["report.csv"]

    def test_what_was_measured_is_not_overwritten(self, tmp_path: Path) -> None:
        place = Place("", save_samples(tmp_path / "run", [sample()]))
        before = (place.directory / "records.jsonl").read_bytes()
        for name in formats.OWN_FILES:
            with pytest.raises(DraftwiseError, match="would overwrite"), output_file(tmp_path / "run" / name, [place]):
                pass
        assert (place.directory / "records.jsonl").read_bytes() == before
        with output_file(tmp_path / "records.jsonl", [place]) as file:
            file.write(b"elsewhere")

    def test_a_place_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with (
            pytest.raises(DraftwiseError, match="nowhere.*cannot be written"),
            output_file(tmp_path / "nowhere" / "a", []),
        ):
            pass


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with output_file(pipe, []) as file:
            file.write(b"all of it")
        assert os.read(reader, 100) == b"all of it"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_device_that_takes_nothing_is_refused_and_not_replaced() -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("there is no /dev/full here")
    with pytest.raises(DraftwiseError, match="/dev/full cannot be written"), output_file(full, []) as file:
        file.write(b"something")
    assert full.is_char_device()
