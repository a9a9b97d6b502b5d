"""A run, or the runs of an experiment, in a format for people or for other programs.

Everything is made from the records, so that a run that was killed, or still runs, can be reported too. Nothing is held
longer than it is needed: runs are read one after another, samples one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from draftwise.analysis.run import RunData, load_run
from draftwise.analysis.summary import summarize
from draftwise.bench.files import ESCAPE, replaced, to_json
from draftwise.bench.records import CHECKS, RECORDS
from draftwise.bench.store import COSTS, END, EXPERIMENT, INPUTS, PROMPTS, RUN, SESSIONS, find_experiment, read_run
from draftwise.errors import DraftwiseError
from draftwise.report.lines import result_lines
from draftwise.report.markdown import markdown
from draftwise.report.rows import Rows, figure_rows, sample_rows
from draftwise.report.tabular import write_csv, write_parquet

OWN_FILES = (RUN, PROMPTS, INPUTS, CHECKS, RECORDS, COSTS, SESSIONS, END, EXPERIMENT)
"""The files of a run that nothing can make again."""


class Place(NamedTuple):
    """Where a run lies, and what tells it from the others of its experiment; empty where it stands alone."""

    label: str
    directory: Path

    def load(self) -> tuple[RunData, dict[str, Any]]:
        """The run and its summary.

        Raises:
            DraftwiseError: it can't be read, or its rates can't be.
        """
        run = load_run(self.directory)
        return run, summarize(run)


class Runs(NamedTuple):
    """What a directory holds: the runs that have begun, and the labels of those that an experiment still plans."""

    begun: list[Place]
    planned: list[str]


def find_runs(directory: Path) -> Runs:
    """The run in a directory, or those of the experiment there.

    Raises:
        DraftwiseError: there is none.
    """
    listed = find_experiment(directory) if not (directory / RUN).exists() else []
    if not listed:
        read_run(directory)
        return Runs([Place("", directory)], [])
    places = [Place(str(row["label"]), directory / _folder(directory, row)) for row in listed]
    begun = [place for place in places if (place.directory / RUN).exists()]
    if not begun:
        raise DraftwiseError(f"{directory} holds an experiment of {len(places)} runs, and none of them has begun")
    return Runs(begun, [place.label for place in places if place not in begun])


def _folder(directory: Path, row: Mapping[str, Any]) -> str:
    """The name of a run's directory within its experiment's."""
    name = str(row["directory"])
    if Path(name).name != name:
        raise DraftwiseError(f"{directory / EXPERIMENT} names the directory {name!r}, which is not within {directory}")
    return name


def write_text(places: Sequence[Place], file: BinaryIO) -> None:
    """The result lines; those of an experiment begin with the run's label."""
    for place in places:
        start = f"{place.label}: " if place.label else ""
        for line in result_lines(place.load()[1]):
            file.write(f"{start}{line}\n".encode("utf-8", ESCAPE))


def write_markdown(places: Sequence[Place], file: BinaryIO) -> None:
    """The report as GitHub Markdown, run after run."""
    for place in places:
        file.write(markdown(place.load()[1], place.label).encode("utf-8", ESCAPE))


def write_json(places: Sequence[Place], file: BinaryIO) -> None:
    """The summary; of an experiment an object that lists the runs, each with its label, directory and summary."""
    if len(places) == 1 and not places[0].label:
        value = places[0].load()[1]
    else:
        value = {"runs": [_summary_row(place) for place in places]}
    file.write(to_json(value).encode("utf-8", ESCAPE))


def _summary_row(place: Place) -> dict[str, Any]:
    return {"label": place.label, "directory": place.directory.name, "summary": place.load()[1]}


def figures_of(places: Sequence[Place]) -> Rows:
    """The figures of all runs."""
    return figure_rows([(place.label, place.load()[1]) for place in places])


ROWS: Mapping[str, Callable[[Sequence[Place]], Rows]] = {"figures": figures_of, "samples": sample_rows}
"""What the rows of a table can be."""

TABLES: Mapping[str, Callable[[Rows, BinaryIO], None]] = {"csv": write_csv, "parquet": write_parquet}
DOCUMENTS: Mapping[str, Callable[[Sequence[Place], BinaryIO], None]] = {
    "md": write_markdown,
    "json": write_json,
    "text": write_text,
}


def write_format(form: str, rows: str, places: Sequence[Place], file: BinaryIO) -> None:
    """Write runs in one of the formats of ``TABLES`` and ``DOCUMENTS``.

    Raises:
        DraftwiseError: rows of samples where the format has none, a run that can't be read, or a missing package.
    """
    if form in TABLES:
        TABLES[form](ROWS[rows](places), file)
    elif rows != "figures":
        raise DraftwiseError(f"--rows {rows} goes with --format {' or '.join(TABLES)}, not {form}")
    else:
        DOCUMENTS[form](places, file)


@contextmanager
def output_file(path: Path, places: Sequence[Place]) -> Iterator[BinaryIO]:
    """A file to be written that stands under its name only when all of it is on the disk.

    What is no regular file, a device or a named pipe, is written to and stays what it is.

    Raises:
        DraftwiseError: it can't be written, or it is a file that a run can't do without.
    """
    if path.name in OWN_FILES and path.resolve().parent in {place.directory.resolve() for place in places}:
        raise DraftwiseError(f"--output {path} would overwrite what was measured; give another file")
    try:
        with open(path, "wb") if _is_special(path) else replaced(path) as file:
            yield file
    except OSError as error:
        raise DraftwiseError(f"{path} cannot be written: {error.strerror}; give another --output") from None


def _is_special(path: Path) -> bool:
    """Whether a path is no regular file: a device or a pipe, or a link of /dev to one of the process's open files."""
    return path.exists() and not path.is_dir() and (not path.is_file() or path.parent.resolve() == Path("/dev"))
