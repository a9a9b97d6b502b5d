"""What a run writes down, line by line: the answers and rounds of the check pass, and the samples of the timed passes.

The check pass looks closely and its times are no speeds; a timed pass records nothing but ids and times. A method at a
task has the same seed in all of them, so the timed ids are the check's again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from draftwise.errors import DraftwiseError

SCHEMA = 3
CHECKS, RECORDS = "checks.jsonl", "records.jsonl"


class RoundTrace(NamedTuple):
    """One target pass of the check pass: what was guessed, what stood, and where the time went.

    The times are those of an observed run, with the device synchronised at each boundary, so they are shares of a round
    and no speeds. ``wait_ns`` is the time within the round in which the deciding thread had no processor; it is in none
    of the other four.
    """

    draft: tuple[int, ...]  # the guessed ids
    accepted: int  # of them, clipped at a stop token and at the length limit
    emitted: int  # new tokens: accepted + 1 unless the text ended before that
    draft_passes: int  # passes of the draft model
    draft_ns: int
    verify_ns: int
    judge_ns: int
    engine_ns: int
    wait_ns: int

    @property
    def drafted(self) -> int:
        """How many tokens were guessed."""
        return len(self.draft)


class Check(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One cell's answer to one turn of one prompt, looked at closely and not timed as a speed.

    Attributes:
        schema: the version of the file's format.
        prompt_id: the prompt in its suite.
        subtask: the prompt's subtask.
        turn: counted from 0.
        method: the label of its cell; without a sweep that is the method's name.
        seed: of the random numbers, the same for all cells and all timed samples of the task.
        prompt_tokens: length of the prompt, history included.
        new_tokens: the answer's ids, the end-of-text token included.
        pieces: the text of each new token; together they are ``text``.
        finish_reason: "eos", "length" or "stop".
        text: the answer as text, raw.
        score: quality against the references, 0 to 1; None where nothing is known of the right answer.
        rounds: each target pass.
    """

    schema: int = SCHEMA
    prompt_id: str
    subtask: str
    turn: int
    method: str
    seed: int
    prompt_tokens: int
    new_tokens: tuple[int, ...]
    pieces: tuple[str, ...]
    finish_reason: str
    text: str
    score: float | None
    rounds: tuple[RoundTrace, ...]


class Sample(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One timed answer of one cell to one turn of one prompt.

    Attributes:
        schema: the version of the file's format.
        prompt_id: the prompt in its suite.
        subtask: the prompt's subtask.
        turn: counted from 0.
        method: the label of its cell.
        session: which process took it, counted from 0.
        repeat: within the session, counted from 0.
        order: the sample's place in the whole run, counted from 0.
        seed: of its random numbers.
        prompt_tokens: length of the prompt, history included.
        new_tokens: the answer's ids, the end-of-text token included.
        passes: target passes.
        compilations: how many programs were compiled or captured within the sample; above 0 it is invalid.
        prefill_ns: until both caches are filled with the prompt.
        ttft_ns: from the call to the end of the first round.
        decode_ns: all rounds, which emit every new token.
        total_ns: from the call to its return, on the caller's clock.
    """

    schema: int = SCHEMA
    prompt_id: str
    subtask: str
    turn: int
    method: str
    session: int
    repeat: int
    order: int
    seed: int
    prompt_tokens: int
    new_tokens: tuple[int, ...]
    passes: int
    compilations: int
    prefill_ns: int
    ttft_ns: int
    decode_ns: int
    total_ns: int


Line = TypeVar("Line", Check, Sample)


def to_line(record: Check | Sample) -> bytes:
    """A record as one line of JSON, the schema's version first."""
    return msgspec.json.encode(record) + b"\n"


def read_samples(directory: Path) -> Iterator[Sample]:
    """The timed samples of a run, in the order in which they were taken; a torn last line is passed over.

    Raises:
        DraftwiseError: there are none to read, or a whole line is no sample of this version.
    """
    return _read(directory / RECORDS, Sample)


def read_checks(directory: Path) -> Iterator[list[Check]]:
    """The checks of a run, those of one turn of one prompt together; a torn last line is passed over.

    Raises:
        DraftwiseError: as for ``read_samples``.
    """
    checks = _read(directory / CHECKS, Check)
    return (list(group) for _, group in groupby(checks, key=lambda check: (check.prompt_id, check.turn)))


def _read(path: Path, kind: type[Line]) -> Iterator[Line]:
    decoder = msgspec.json.Decoder(kind)
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    record = decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    check_schema(_peek(line), f"{path}, line {number}")
                    raise DraftwiseError(f"{path}, line {number} is not a record: {error}") from None
                if record.schema != SCHEMA:
                    check_schema(record.schema, f"{path}, line {number}")
                yield record
    except OSError as error:
        raise DraftwiseError(f"{path} cannot be read: {error.strerror}") from None


def _peek(line: bytes) -> object:
    """The version that a line gives, this one's where it can't be told."""
    try:
        row = json.loads(line)
    except ValueError:
        return SCHEMA
    return row.get("schema") if isinstance(row, dict) else SCHEMA


def check_schema(found: object, where: object) -> None:
    """Hold a file's version against this one.

    Raises:
        DraftwiseError: they differ.
    """
    if found != SCHEMA:
        raise DraftwiseError(f"{where} has schema {found!r}, and this version reads {SCHEMA}")
