"""The peers' command goes all its way with what CI has, and its figures say what the turns were."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import rows as known_rows
from benchmarks.peers.__main__ import names
from benchmarks.peers.cases import Case, Question
from benchmarks.peers.figures import RowFigures, figures
from benchmarks.peers.measure import Measured, Sample
from benchmarks.peers.rows import BASELINE, ROWS, Peer, Row, missing, rows_of
from benchmarks.peers.table import markdown
from benchmarks.peers.turns import PeerProcess, Refused
from draftwise.errors import DraftwiseError

ROOT = Path(__file__).parents[2]
CASE = Case("tiny", "float32", "target", "draft", 1, "store")
OWN, THEIRS = ROWS[0], next(row for row in ROWS if row.label == BASELINE)


def run(output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.peers", "--quick", "--threads", "1", *arguments]
    places = ["--output", str(output), "--store", str(output / "store")]
    return subprocess.run([*command, *places], cwd=ROOT, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    output = tmp_path_factory.mktemp("peers")
    done = run(output, "--peers", "draftwise,transformers")
    assert done.returncode == 0, done.stderr + done.stdout
    (stored,) = output.glob("*.json")
    return stored.with_suffix(".md").read_text("utf-8"), json.loads(stored.read_text("utf-8"))


def test_every_row_is_measured_or_has_its_reason(report: tuple[str, dict[str, Any]]) -> None:
    text, stored = report
    (case,) = stored["cases"]
    labels = {row.label for row in rows_of(("draftwise", "transformers"))}
    assert set(case["figures"]) | set(case["measured"]["unable"]) == labels
    assert set(case["measured"]["unable"]) <= {"draftwise: prompt lookup"}
    assert all(label in text for label in labels)


def test_all_rows_write_as_many_tokens_and_the_same_ones(report: tuple[str, dict[str, Any]]) -> None:
    (case,) = report[1]["cases"]
    (question,) = case["measured"]["questions"]
    assert {tuple(sample["ids"]) for sample in map(as_dict, case["measured"]["samples"])} == {tuple(question[2])}


def as_dict(sample: list[Any]) -> dict[str, Any]:
    return dict(zip(Sample._fields, sample, strict=True))


def test_an_unknown_peer_is_answered_with_the_known() -> None:
    with pytest.raises(DraftwiseError, match="unknown peer 'llama'; choose from: draftwise, transformers"):
        names("draftwise, llama", tuple(known_rows.PEERS), "peer")


def turn(row: Row, prompt: int, repeat: int, token_ms: float, ids: list[int]) -> Sample:
    return Sample(row.label, prompt, repeat, 5_000_000, 5_000_000 + round(1e6 * token_ms * (len(ids) - 1)), ids)


def planted(theirs: list[int]) -> Measured:
    """Two prompts, three rounds in which the machine gets slower; draftwise takes half of the other's time always."""
    answers = [[1, 2, 3, 4], [5, 6, 7, 8, 9]]
    found = Measured(CASE, [Question(str(place), [1], answer) for place, answer in enumerate(answers)])
    for repeat, mood in enumerate((1.0, 3.0, 10.0)):
        for prompt, answer in enumerate(answers):
            found.samples.append(turn(OWN, prompt, repeat, mood, answer))
            found.samples.append(turn(THEIRS, prompt, repeat, 2 * mood, theirs if prompt else answer))
    return found


def lines(found: Measured) -> dict[str, RowFigures]:
    return {line.row.label: line for line in figures(found, ROWS, seed=0)}


def test_a_ratio_is_of_turns_side_by_side_whatever_the_machines_mood() -> None:
    by_label = lines(planted([5, 6, 7, 8, 9]))
    own, theirs = by_label[OWN.label], by_label[BASELINE]
    assert own.against_baseline == pytest.approx((2, 2, 2)) and theirs.own_against_it == pytest.approx((2, 2, 2))
    assert own.token_ms == pytest.approx(3) and theirs.token_ms == pytest.approx(6) and own.first_ms == 5
    assert own.own_against_it is None and theirs.against_baseline is None


def test_the_first_other_token_is_found() -> None:
    line = lines(planted([5, 6, 0, 8, 9]))[BASELINE]
    assert (line.equal, line.prompts, line.differs) == (1, 2, 3)
    line = lines(planted([5, 6, 7, 8, 9]))[BASELINE]
    assert (line.equal, line.prompts, line.differs) == (2, 2, None)


def test_a_turn_that_a_busy_machine_garbled_leaves_the_ratio_finite() -> None:
    found = planted([5, 6, 7, 8, 9])
    found.samples[0] = found.samples[0]._replace(all_ns=1)
    ratio = lines(found)[OWN.label].against_baseline
    assert ratio is not None and ratio.value is not None and math.isclose(ratio.value, 2)


def test_a_peer_that_is_not_installed_stands_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Peer("own", {"no_such_package": "no-such-package"}, {"plain": "plain"})
    monkeypatch.setitem(known_rows.PEERS, "absent", absent)
    reason = missing("absent")
    assert reason is not None and reason.startswith("not installed: no-such-package")
    found, row = planted([5, 6, 7, 8, 9]), Row("absent", "plain", "plain")
    found.unable[row.label] = reason
    machine = {"cpu": "a processor", "cores": 2, "memory_bytes": 2**30, "revision": None}
    text = markdown([found], [*ROWS, row], {"machine": machine, "threads": 1, "time": "", "command": "", "seed": 0})
    assert "| absent: plain | no: not installed: no-such-package" in text


def test_a_worker_that_fails_says_why() -> None:
    process = PeerProcess("draftwise", 1)
    try:
        with pytest.raises(Refused, match="no_such_directory"):
            process.load(Case("tiny", "float32", "no_such_directory", "no_such_directory", 1, "store"))
    finally:
        process.close()


def test_a_worker_that_dies_says_so() -> None:
    process = PeerProcess("draftwise", 1)
    try:
        process.process.kill()
        process.process.wait()
        with pytest.raises(Refused, match="ended with code -9"):
            process.load(CASE)
    finally:
        process.close()
