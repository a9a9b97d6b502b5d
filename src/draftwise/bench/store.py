"""A run's directory: made, opened again, and repaired where a process was killed while it wrote.

``run.json`` comes last of what is written before the first sample, so a directory holds a run if it holds that file.
Groups of lines are on the disk before the next begins; what a kill leaves of the last one is put aside (``.torn``) and
measured again, since its samples would not have been taken back to back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from draftwise.bench.files import Log, cut_after, read_json, to_json, unwritable, write_whole
from draftwise.bench.plan import GroupKey, Task
from draftwise.bench.records import CHECKS, RECORDS, SCHEMA, Check, Sample, check_schema, to_line
from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt, parse_prompts, prompts_to_lines, suite_sha256

RUN, PROMPTS, INPUTS, COSTS, END = "run.json", "prompts.jsonl", "inputs.jsonl", "costs.json", "end.json"
SESSIONS, EXPERIMENT, SUMMARY, PAGE = "sessions.jsonl", "experiment.json", "summary.json", "report.html"


class _Input(msgspec.Struct):
    """The ids of a turn, as a line of ``inputs.jsonl``."""

    id: str
    turn: int
    ids: list[int]


class _Place(msgspec.Struct):
    """What tells the group of a line; the rest of the line is passed over."""

    prompt_id: str
    turn: int
    method: str
    session: int = 0
    repeat: int = 0

    @property
    def group(self) -> GroupKey:
        return self.session, self.repeat, (self.prompt_id, self.turn)


@dataclass(frozen=True, slots=True)
class RunStore:
    """An open run.

    Attributes:
        directory: where it lies.
        header: what ``run.json`` holds: settings, environment, the number of samples planned, and a hash of the inputs.
        prompts: those that are measured.
        inputs: the ids of each of their turns.
    """

    directory: Path
    header: dict[str, Any]
    prompts: tuple[Prompt, ...]
    inputs: dict[Task, list[int]]

    @classmethod
    def create(
        cls, directory: Path, header: Mapping[str, Any], prompts: Sequence[Prompt], inputs: dict[Task, list[int]]
    ) -> RunStore:
        """Make the directory and write everything that is known before the first sample.

        Raises:
            DraftwiseError: the disk takes no more, or somebody else's file would be written over.
        """
        ids = b"".join(msgspec.json.encode(_Input(*task, ids)) + b"\n" for task, ids in inputs.items())
        whole = {"schema": SCHEMA} | dict(header) | {"inputs_sha256": hashlib.sha256(ids).hexdigest()}
        asked = "".join(f"{line}\n" for line in prompts_to_lines(prompts)).encode()
        for name, data in ((PROMPTS, asked), (INPUTS, ids)):
            path = directory / name
            if path.exists() and path.read_bytes() != data:  # a run that was killed just here leaves the same
                raise _not_ours(path)
            write_whole(path, data)
        write_whole(directory / RUN, to_json(whole))
        return cls(directory, whole, tuple(prompts), inputs)

    @classmethod
    def open(cls, directory: Path) -> RunStore:
        """Open a run that is there.

        Raises:
            DraftwiseError: there is none, or none that this version can read, or its prompts or their ids were changed.
        """
        header, prompts = read_run(directory), tuple(read_prompts(directory))
        if suite_sha256(prompts) != header["environment"].get("prompts_sha256"):
            raise _changed(directory / PROMPTS)
        return cls(directory, header, prompts, _read_inputs(directory / INPUTS, header.get("inputs_sha256")))

    def checks(self) -> Log:
        """The log of checks."""
        return Log(self.directory / CHECKS)

    def samples(self) -> Log:
        """The log of timed samples."""
        return Log(self.directory / RECORDS)

    def checked(self, labels: Iterable[str]) -> set[Task]:
        """The tasks that every one of the cells was checked on; repairs the log, which the caller holds open."""
        return {task for _, _, task in _whole_groups(self.directory / CHECKS, set(labels))}

    def sampled(self, labels: Iterable[str]) -> set[GroupKey]:
        """The groups that every one of the cells has a sample in; repairs the log, which the caller holds open."""
        return _whole_groups(self.directory / RECORDS, set(labels))

    def note_session(self, facts: Mapping[str, Any]) -> None:
        """Add a line about a process that begins or ends measuring."""
        row = {"schema": SCHEMA, "time": datetime.now(UTC).isoformat(timespec="seconds"), "pid": os.getpid()}
        path = self.directory / SESSIONS
        with Log(path) as log:
            cut_after(path, sum(map(len, _lines(path))))
            log.append([json.dumps(row | dict(facts), allow_nan=False).encode() + b"\n"])

    def write_costs(self, costs: Mapping[str, Any]) -> None:
        """Write the cost of passes."""
        write_whole(self.directory / COSTS, to_json({"schema": SCHEMA} | dict(costs)))


def write_end(directory: Path, facts: Mapping[str, Any]) -> None:
    """Write whether the run is complete, and the machine's state after the last sample."""
    write_whole(directory / END, to_json({"schema": SCHEMA} | dict(facts)))


def add_group(log: Log, records: Iterable[Check | Sample]) -> None:
    """Write a group of records down."""
    log.append(map(to_line, records))


def _whole_groups(path: Path, labels: set[str]) -> set[GroupKey]:
    """The groups of a log that have all their cells; what is torn or short of cells at its end is cut off.

    Raises:
        DraftwiseError: a line is no record, or a group before the last is short of cells or has one twice.
    """
    whole: set[GroupKey] = set()
    current: GroupKey | None = None
    found: set[str] = set()
    end = size = 0
    decoder = msgspec.json.Decoder(_Place)
    for number, line in enumerate(_lines(path), 1):
        try:
            place = decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DraftwiseError(f"{path}, line {number} is not a record: {error}") from None
        if place.group != current:
            if found and found != labels:
                raise DraftwiseError(f"{path}, line {number}: the group of samples before it is not whole")
            current, found = place.group, set()
        if place.method in found or place.method not in labels or current in whole:
            raise DraftwiseError(f"{path}, line {number}: a sample of {place.method!r} that was not planned")
        found.add(place.method)
        size += len(line)
        if found == labels:
            whole.add(place.group)
            end = size
    cut_after(path, end)
    return whole


def _lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a log; a part of one at its end is passed over."""
    try:
        with open(path, "rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))
    except OSError as error:
        raise DraftwiseError(f"{path} cannot be read: {error.strerror}") from None


def count_lines(path: Path) -> int:
    """How many records a log has, none where there is no log; a torn last line counts for nothing."""
    return sum(1 for _ in _lines(path)) if path.exists() else 0


def last_session(directory: Path) -> dict[str, Any] | None:
    """What was last written down of the machine's state while the run was measured; None before that."""
    path = directory / SESSIONS
    last: dict[str, Any] | None = None
    for number, line in enumerate(_lines(path) if path.exists() else (), 1):
        try:
            last = dict(json.loads(line))
        except (ValueError, TypeError, RecursionError) as error:
            raise DraftwiseError(f"{path}, line {number} is not a session: {error}") from None
    return last


def new_directory() -> Path:
    """Where a run goes that was given no directory: ``runs/<UTC time>``."""
    return Path("runs") / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")


def holds_run(path: Path) -> bool:
    """Whether a run lies in a directory, complete or not.

    Raises:
        DraftwiseError: something lies there that a run would write over, and nothing that says of which run it is.
    """
    if (path / RUN).exists():
        return True
    for name in (RECORDS, CHECKS, EXPERIMENT, COSTS, SESSIONS, END, SUMMARY, PAGE):
        if (path / name).exists():
            raise _not_ours(path / name)
    return False


def _not_ours(path: Path) -> DraftwiseError:
    return DraftwiseError(f"{path.parent} holds {path.name} and no {RUN}; give another output directory")


def check_directory(path: Path) -> Path:
    """Check that a run can be written to a directory; makes and changes nothing.

    Raises:
        DraftwiseError: it cannot be made or written.
    """
    try:
        existing = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not existing.is_dir():
            raise DraftwiseError(f"{existing} is a file, so a run cannot be written to {path}; give another directory")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise DraftwiseError(f"{existing} cannot be written; give another output directory")
    except OSError as error:
        raise unwritable(path, error) from None
    return path


def make_directory(path: Path) -> None:
    """Make a directory where there is none.

    Raises:
        DraftwiseError: as ``check_directory``.
    """
    check_directory(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None


def read_run(directory: Path) -> dict[str, Any]:
    """What ``run.json`` says: settings, environment and the number of samples planned.

    Raises:
        DraftwiseError: there is no run, or none that this version can read.
    """
    try:
        there = (directory / RUN).exists()
    except OSError as error:
        raise DraftwiseError(f"{directory} cannot be read: {error.strerror}") from None
    if not there:
        raise DraftwiseError(f"{directory} holds no run: {RUN} is not there")
    header = read_json(directory / RUN)
    check_schema(header.get("schema"), directory / RUN)
    for name, kind in (("settings", dict), ("environment", dict), ("planned", int)):
        if not isinstance(header.get(name), kind):
            raise DraftwiseError(f"{directory / RUN} says nothing of {name}, so it describes no run")
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


def _read_inputs(path: Path, sha256: str | None) -> dict[Task, list[int]]:
    decoder = msgspec.json.Decoder(_Input)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DraftwiseError(f"{path} cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _changed(path)
    rows = [decoder.decode(line) for line in data.splitlines()]
    return {(row.id, row.turn): row.ids for row in rows}


def _changed(path: Path) -> DraftwiseError:
    return DraftwiseError(f"{path} is not what this run began with; bring it back, or give another output directory")


def read_optional(path: Path) -> dict[str, Any]:
    """A small file's JSON object; empty where it isn't there, as in a run that was killed before."""
    return read_json(path) if path.exists() else {}


def find_experiment(directory: Path) -> list[dict[str, Any]]:
    """The runs that an experiment's directory lists, each with its label, directory and settings; none elsewhere."""
    return list(read_optional(directory / EXPERIMENT).get("runs", []))


def write_experiment(directory: Path, facts: Mapping[str, Any]) -> None:
    """Make the directory of an experiment of several runs and write which runs there are, and where."""
    make_directory(directory)
    write_whole(directory / EXPERIMENT, to_json({"schema": SCHEMA} | dict(facts)))
