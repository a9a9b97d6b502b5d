"""What a run leaves: ``run.json`` and ``prompts.jsonl`` first, a line of ``records.jsonl`` a sample, ``end.json`` last.

Records are only ever added. Each line is flushed, so a killed run loses its last line at most, and the reader passes
over a last line that is torn.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TextIO

from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt, parse_prompts, prompts_to_lines

SCHEMA = 2
ESCAPE = "backslashreplace"
"""A path may hold bytes that are no UTF-8; written like this they are escapes that JSON knows."""
RECORDS, RUN, END, SUMMARY = "records.jsonl", "run.json", "end.json", "summary.json"
PROMPTS, EXPERIMENT = "prompts.jsonl", "experiment.json"


class RoundCounts(NamedTuple):
    """One target pass, in tokens."""

    drafted: int
    accepted: int
    emitted: int


@dataclass(frozen=True, slots=True)
class Record:
    """One sample: one cell's answer to one turn of one prompt, and the time it took.

    Attributes:
        prompt_id: the prompt in its suite.
        subtask: the prompt's subtask.
        turn: counted from 0.
        method: the label of its cell; without a sweep that is the method's name.
        repeat: counted from 0.
        order: the sample's place in the whole run, counted from 0.
        seed: of the sample's random numbers.
        prompt_tokens: length of the prompt, history included.
        new_tokens: the answer's ids, the end-of-text token included.
        rounds: drafted, accepted and emitted tokens of each target pass.
        finish_reason: "eos", "length" or "stop".
        text: the answer as text, raw.
        prefill_ns: until both caches are filled with the prompt.
        ttft_ns: from the call to the end of the first round.
        decode_ns: all rounds, which emit every new token.
        total_ns: from the call to its return.
    """

    prompt_id: str
    subtask: str
    turn: int
    method: str
    repeat: int
    order: int
    seed: int
    prompt_tokens: int
    new_tokens: tuple[int, ...]
    rounds: tuple[RoundCounts, ...]
    finish_reason: str
    text: str
    prefill_ns: int
    ttft_ns: int
    decode_ns: int
    total_ns: int

    def to_line(self) -> str:
        """The record as one line of JSON, the schema's version first."""
        return json.dumps({"schema": SCHEMA} | asdict(self), ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Record:
        """A record from a line's values; keys of later minor versions are passed over."""
        values = {item.name: row[item.name] for item in fields(cls)}
        values["new_tokens"] = tuple(values["new_tokens"])
        values["rounds"] = tuple(RoundCounts(*counts) for counts in values["rounds"])
        return cls(**values)


def prepare_directory(output: str | Path | None) -> Path:
    """The directory of a new run, ``runs/<UTC time>`` if none is named; makes and changes nothing.

    Raises:
        DraftwiseError: it holds another run, or cannot be made or written.
    """
    path = Path("runs") / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ") if output is None else Path(output)
    try:
        for name in (RUN, RECORDS, SUMMARY, EXPERIMENT):
            if (path / name).exists():
                raise DraftwiseError(f"{path} already holds a run ({name}); give another output directory")
        existing = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not existing.is_dir():
            raise DraftwiseError(f"{existing} is a file, so a run cannot be written to {path}; give another directory")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise DraftwiseError(f"{existing} cannot be written; give another output directory")
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


def _unwritable(path: Path, error: OSError) -> DraftwiseError:
    return DraftwiseError(f"a run cannot be written to {path}: {error.strerror}; give another output directory")


def open_new(path: Path) -> TextIO:
    """A file to be written, which must not be there yet."""
    return open(path, "x", encoding="utf-8", errors=ESCAPE)


class RunWriter:
    """Opens a new run and adds to its records, a line at a time."""

    def __init__(self, directory: Path, header: dict[str, Any], prompts: Iterable[Prompt] = ()) -> None:
        """Make the directory and write ``run.json``, and the prompts that are measured.

        Raises:
            DraftwiseError: as ``prepare_directory``.
        """
        self._directory = prepare_directory(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with open_new(directory / RUN) as file:
                file.write(to_json({"schema": SCHEMA} | header))
            with open_new(directory / PROMPTS) as file:
                file.writelines(f"{line}\n" for line in prompts_to_lines(prompts))
            self._file = open_new(directory / RECORDS)
        except OSError as error:
            raise _unwritable(directory, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, record: Record) -> None:
        """Write one line and flush it.

        Raises:
            DraftwiseError: the disk takes no more; the lines before stand.
        """
        try:
            self._file.write(record.to_line())
            self._file.flush()
        except OSError as error:
            raise _unwritable(self._directory, error) from None


def read_run(directory: Path) -> dict[str, Any]:
    """What ``run.json`` says: settings, environment and the number of samples planned.

    Raises:
        DraftwiseError: there is no run, or none that this version can read.
    """
    try:
        header: dict[str, Any] = json.loads((directory / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DraftwiseError(f"{directory} holds no run that can be read ({RUN}: {error})") from None
    _check_schema(header, directory / RUN)
    return header


def read_prompts(directory: Path) -> list[Prompt]:
    """The prompts that a run measured.

    Raises:
        DraftwiseError: they can't be read.
    """
    path = directory / PROMPTS
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeError) as error:
        raise DraftwiseError(f"{path} cannot be read: {error}") from None
    return parse_prompts(lines, str(path))


def write_end(directory: Path, facts: dict[str, Any]) -> None:
    """Write ``end.json``: whether the run is complete, and the machine's state after the last sample."""
    _write(directory / END, facts)


def write_experiment(directory: Path, facts: dict[str, Any]) -> None:
    """Make the directory of an experiment of several runs and write ``experiment.json``: which runs, and where."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(directory, error) from None
    _write(directory / EXPERIMENT, facts)


def _write(path: Path, facts: dict[str, Any]) -> None:
    try:
        path.write_text(to_json({"schema": SCHEMA} | facts), encoding="utf-8", errors=ESCAPE)
    except OSError as error:
        raise _unwritable(path.parent, error) from None


def read_end(directory: Path) -> dict[str, Any]:
    """What ``end.json`` says; empty where the run was killed."""
    try:
        facts: dict[str, Any] = json.loads((directory / END).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts


def read_records(directory: Path) -> list[Record]:
    """The samples of a run, in the order in which they were taken; a torn last line is left out.

    Raises:
        DraftwiseError: there are no records, or a line before the last cannot be read.
    """
    path = directory / RECORDS
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DraftwiseError(f"{path} cannot be read: {error.strerror}") from None
    # A whole line ends in a line feed, so what stands behind the last one is torn.
    return [_read_line(line, f"{path}, line {number}") for number, line in enumerate(lines[:-1], 1)]


def _read_line(line: bytes, where: str) -> Record:
    try:
        row = json.loads(line)
        _check_schema(row, where)
        return Record.from_row(row)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, DraftwiseError):
            raise
        raise DraftwiseError(f"{where} is not a record: {error}") from None


def _check_schema(row: dict[str, Any], where: object) -> None:
    if row.get("schema") != SCHEMA:
        raise DraftwiseError(f"{where} has schema {row.get('schema')!r}, and this version reads {SCHEMA}")


def to_json(value: Any) -> str:
    """Strict JSON, indented; a NaN or an infinity is an error."""
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
