"""A run that is there: gone on with where everything is as it was, and refused with every difference where it isn't."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import SAMPLES, FakeEngine, bench, models, prompts, taken
from nursery import Nursery

from draftwise.bench import BenchSettings, files, fingerprint, runner
from draftwise.bench.models import Models
from draftwise.bench.runner import RunResult, run_bench
from draftwise.bench.settings import Axis
from draftwise.bench.store import RunStore
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions
from draftwise.tasks import SUITES, load_suite, shipped


def run(settings: BenchSettings, directory: Path, load: Callable[[], Models] | None = None, **more: Any) -> RunResult:
    return run_bench(load or (lambda: models(FakeEngine())), settings, load_suite("small"), directory, **more)


def never() -> Models:
    raise AssertionError("the models were loaded")


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


class Stopping(FakeEngine):
    """Asks for a stop in the midst of a timed answer, the n-th of them."""

    timed: int | None = None
    last: int = 0

    def generate(self, ids: list[int], **options: Any) -> Any:
        if self.timed is not None:
            self.timed += 1
            if self.timed == self.last:
                os.kill(os.getpid(), signal.SIGTERM)
        return super().generate(ids, **options)


def stopped_after(settings: BenchSettings, directory: Path, samples: int) -> None:
    """A run that was stopped when it had so many samples, 4 at least."""
    engine = Stopping()
    engine.last = samples - 3

    def progress(done: int, total: int, label: str) -> None:
        if label.startswith("repeat") and engine.timed is None:  # the first group is taken
            engine.timed = 0

    result = run(settings, directory, lambda: models(engine), progress=progress)
    assert (result.samples, result.stopped_by) == (samples, "SIGTERM")


def test_a_run_that_was_stopped_within_a_group_takes_that_group_again(settings: BenchSettings, tmp_path: Path) -> None:
    stopped_after(settings, tmp_path / "run", 11)
    lines = (tmp_path / "run" / "records.jsonl").read_bytes().splitlines(keepends=True)
    result = run(settings, tmp_path / "run")
    assert result.complete and result.samples == SAMPLES
    assert (tmp_path / "run" / "records.torn").read_bytes() == b"".join(lines[9:])
    assert (tmp_path / "run" / "records.jsonl").read_bytes().startswith(b"".join(lines[:9]))
    run(settings, tmp_path / "calm")
    assert taken(tmp_path / "run") == taken(tmp_path / "calm")


@pytest.mark.parametrize(("name", "repair"), [("records.jsonl", RunStore.sampled), ("checks.jsonl", RunStore.checked)])
def test_a_log_cut_at_any_byte_of_its_last_group_keeps_the_groups_before(
    settings: BenchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, repair: Callable[..., set[Any]]
) -> None:
    run(settings, tmp_path)
    monkeypatch.setattr(os, "fsync", lambda file: None)
    path, store = tmp_path / name, RunStore.open(tmp_path)
    data = path.read_bytes()
    kept = b"".join(data.splitlines(keepends=True)[:-3])
    whole = repair(store, settings.methods)
    for size in range(len(kept), len(data)):
        path.write_bytes(data[:size])
        path.with_suffix(".torn").unlink(missing_ok=True)
        assert len(repair(store, settings.methods)) == len(whole) - 1
        assert path.read_bytes() == kept
        torn = path.with_suffix(".torn").read_bytes() if size > len(kept) else b""
        assert torn.removesuffix(b"\n") == data[len(kept) : size].removesuffix(b"\n"), "nothing is thrown away"


@pytest.mark.parametrize("left", [0, 1, 400, 9000, -700, -1])
def test_a_run_whose_log_was_cut_anywhere_ends_the_same(settings: BenchSettings, tmp_path: Path, left: int) -> None:
    run(settings, tmp_path)
    whole, path = taken(tmp_path), tmp_path / "records.jsonl"
    path.write_bytes(path.read_bytes()[:left])
    assert run(settings, tmp_path).complete and taken(tmp_path) == whole


def test_a_complete_run_is_not_measured_again_and_loads_no_model(settings: BenchSettings, tmp_path: Path) -> None:
    run(settings, tmp_path)
    before = contents(tmp_path)
    result = run(replace(settings, output="elsewhere"), tmp_path, never)
    assert result.complete and result.samples == SAMPLES and contents(tmp_path) == before


def test_what_is_there_is_said_before_a_run_goes_on(settings: BenchSettings, tmp_path: Path) -> None:
    stopped_after(settings, tmp_path, 12)
    told: list[str] = []
    assert run(settings, tmp_path, tell=told.append).complete
    assert told == [f"going on with {tmp_path}: 12 of {SAMPLES} samples are there", "enough"]


def test_other_versions_are_told_and_no_reason_to_refuse(
    settings: BenchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_after(settings, tmp_path, 12)
    monkeypatch.setattr(fingerprint, "_versions", lambda device: {"torch": "0.1"})
    told: list[str] = []
    assert run(settings, tmp_path, tell=told.append).complete
    assert any(line.startswith("since this run began, torch is ") and "0.1 here" in line for line in told)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"repeats": 4}, ["repeats is 3 there and 4 here"]),
        ({"warmups": 2, "sessions": 2}, ["warmups is 1 there and 2 here", "sessions is 1 there and 2 here"]),
        ({"methods": ("as", "sps")}, ["methods is as, sps, bild there and as, sps here"]),
        ({"decoding": DecodingOptions(max_new_tokens=12, gamma=6)}, ["gamma is 4 there and 6 here"]),
        ({"decoding": DecodingOptions(max_new_tokens=12, seed=1)}, ["seed is 0 there and 1 here"]),
        (
            {"sweep": (Axis("gamma", (4, 8)),), "limit": 2},
            ["limit is 20 there and 2 here", "gamma is 4 there and 4, 8 here"],
        ),
    ],
)
def test_other_settings_are_refused_with_every_difference(
    settings: BenchSettings, tmp_path: Path, change: dict[str, Any], words: list[str]
) -> None:
    run(settings, tmp_path)
    before = contents(tmp_path)
    with pytest.raises(DraftwiseError) as caught:
        run(replace(settings, **change), tmp_path, never)
    for word in (*words, f"{tmp_path} holds another run: ", "another output directory"):
        assert word in str(caught.value)
    assert str(caught.value).count(" here") == len(words) and contents(tmp_path) == before


def test_other_prompts_are_refused(settings: BenchSettings, tmp_path: Path) -> None:
    run(settings, tmp_path)
    SUITES["small"] = shipped(lambda: prompts()[1:])
    with pytest.raises(DraftwiseError, match="holds another run: the prompts of the suite have changed; give the same"):
        run(settings, tmp_path, never)


def facts(**hashes: str) -> dict[str, Any]:
    return {"models": {}, "sha256": {"target": {"model.safetensors": "a" * 64} | hashes}, "memory": "enough"}


def test_other_weights_are_refused(settings: BenchSettings, tmp_path: Path) -> None:
    def load(**hashes: str) -> Callable[[], Models]:
        return lambda: Models({"builtin": FakeEngine()}, facts(**hashes))  # type: ignore[dict-item]

    run(settings, tmp_path, load())
    cut = tmp_path / "records.jsonl"
    cut.write_bytes(b"".join(cut.read_bytes().splitlines(keepends=True)[:9]))
    other = {"model.safetensors": "b" * 64}
    with pytest.raises(
        DraftwiseError, match=r"model.safetensors of the target is a{12} there and b{12} here \(SHA-256"
    ):
        run(settings, tmp_path, load(**other))
    assert run(settings, tmp_path, load()).complete


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cpu_model", "another CPU", "cpu is .* there and another CPU here"),
        ("available_cores", 999, "cores is .* and 999 here"),
    ],
)
def test_other_hardware_is_refused(
    settings: BenchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object, words: str
) -> None:
    stopped_after(settings, tmp_path, 12)
    before = contents(tmp_path)
    monkeypatch.setattr(fingerprint, name, lambda: value)
    with pytest.raises(DraftwiseError, match=words):
        run(settings, tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["prompts.jsonl", "inputs.jsonl"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:])),
        lambda path: path.write_bytes(path.read_bytes().replace(b"Where", b"There").replace(b"111", b"112")),
        lambda path: path.write_bytes(b"\xff\xfe\0"),
        lambda path: path.write_bytes(b""),
    ],
)
def test_prompts_or_ids_that_were_changed_are_refused_in_one_line(
    settings: BenchSettings, tmp_path: Path, name: str, spoil: Callable[[Path], object]
) -> None:
    stopped_after(settings, tmp_path, 12)
    records = (tmp_path / "records.jsonl").read_bytes()
    spoil(tmp_path / name)
    with pytest.raises(DraftwiseError, match=name) as caught:
        run(settings, tmp_path)
    assert "\n" not in str(caught.value) and (tmp_path / "records.jsonl").read_bytes() == records


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"schema": 2, "settings": {}, "environment": {}, "planned": 3}', "has schema 2, and this version reads 3"),
        ('{"schema": 4}', "has schema 4"),
        ("{}", "has schema None"),
        ('{"schema": 3}', "says nothing of settings"),
        ('{"schema": 3, "settings": {}, "environment": [], "planned": 3}', "says nothing of environment"),
        ('{"schema": 3, "settings": {}, "environment": {}, "planned": "3"}', "says nothing of planned"),
        ("[]", "holds no JSON object"),
        ('{"schema"', "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_a_run_of_another_version_or_none_at_all_is_refused_in_one_line(
    settings: BenchSettings, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DraftwiseError, match=f"run.json.* {words}") as caught:
        run(settings, tmp_path, never)
    assert "\n" not in str(caught.value) and [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    "name",
    [
        *("records.jsonl", "checks.jsonl", "experiment.json", "summary.json", "report.html", "end.json"),
        *("costs.json", "sessions.jsonl", "prompts.jsonl", "inputs.jsonl"),
    ],
)
def test_what_is_no_part_of_a_run_is_never_written_over(settings: BenchSettings, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(DraftwiseError, match=f"{tmp_path} holds {name} and no run.json; give another output directory"):
        run(settings, tmp_path)
    assert (tmp_path / name).read_bytes() == b"precious" and not (tmp_path / "run.json").exists()


def test_a_second_process_waits_and_then_says_that_another_measures_there(
    settings: BenchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.2)
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(DraftwiseError, match=f"another process writes to {tmp_path}; wait for it, or end it"):
        run(settings, tmp_path, never)
    os.close(holder)
    assert run(settings, tmp_path).complete


def test_two_processes_at_once_make_one_run(nursery: Nursery, tmp_path: Path) -> None:
    """The one that finds the directory locked waits, and then goes on with a run that is complete."""
    pids = [nursery.start(*bench(tmp_path / "run"), fake=True, nap=0.002, silent=True) for _ in range(3)]
    ends = [nursery.wait(pid) for pid in pids]
    assert sorted(end.code for end in ends) in ([0, 0, 0], [0, 0, 2], [0, 2, 2]), ends
    assert all("another process has begun a run" in end.complaint for end in ends if end.code)
    assert nursery.run(*bench(tmp_path / "calm"), fake=True, silent=True).code == 0
    assert taken(tmp_path / "run") == taken(tmp_path / "calm")


def test_a_second_process_gives_up_with_one_line_and_code_2(nursery: Nursery, tmp_path: Path) -> None:
    tmp_path.joinpath("run").mkdir()
    first = nursery.start(*bench(tmp_path / "run"), fake=True, nap=0.01, silent=True)
    while not (tmp_path / "run" / "run.json").exists():
        pass
    second = nursery.run(*bench(tmp_path / "run"), fake=True, lock_seconds=0.1)
    assert f"another process writes to {tmp_path / 'run'}" in second.complaint
    assert nursery.wait(first).code == 0


def test_a_run_that_was_made_meanwhile_is_not_written_over(
    settings: BenchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both found no directory; the quicker one has made its run by the time that the other wants to."""
    other = replace(settings, decoding=replace(settings.decoding, gamma=7))
    describe = runner.describe_prompts

    def overtaken(*arguments: Any) -> dict[str, Any]:
        monkeypatch.setattr(runner, "describe_prompts", describe)
        run(other, tmp_path / "run")
        return describe(*arguments)

    monkeypatch.setattr(runner, "describe_prompts", overtaken)
    with pytest.raises(DraftwiseError, match="another process has begun a run in .*run"):
        run(settings, tmp_path / "run")
    header = json.loads((tmp_path / "run" / "run.json").read_text())
    assert header["settings"]["decoding"]["gamma"] == 7


def test_what_a_killed_process_left_of_a_small_file_is_removed(settings: BenchSettings, tmp_path: Path) -> None:
    stopped_after(settings, tmp_path, 12)
    (tmp_path / ".end.json.part-1234").write_text('{"half')
    assert run(settings, tmp_path).complete
    assert not list(tmp_path.glob(".*"))


def test_an_experiment_of_several_runs_goes_on_run_by_run(nursery: Nursery, tmp_path: Path) -> None:
    arguments = bench(tmp_path / "runs", "--temperature", "0,1,2", repeats=1)
    for moment in (20, 90, 75, 61, 30):
        assert nursery.run(*arguments, fake=True, die=[moment, True]).code == -signal.SIGKILL
    ended = nursery.run(*arguments, fake=True)
    assert ended.code == 0 and "all 3 runs, overall" in ended.out, ended
    assert nursery.run(*bench(tmp_path / "calm", "--temperature", "0,1,2", repeats=1), fake=True).code == 0
    for folder in ("01-temperature=0", "02-temperature=1", "03-temperature=2"):
        assert taken(tmp_path / "runs" / folder) == taken(tmp_path / "calm" / folder)
    again = nursery.run(*arguments, fake=True)
    assert again.code == 0 and again.out == ended.out, "shown again, and nothing is measured"
    refused = nursery.run(*bench(tmp_path / "runs", "--temperature", "0,1", repeats=1), fake=True)
    assert "of the runs temperature=0, temperature=1, temperature=2" in refused.complaint
    single = nursery.run(*bench(tmp_path / "runs", repeats=1), fake=True)
    assert "holds experiment.json and no run.json" in single.complaint


def test_the_hash_of_the_inputs_is_that_of_the_file(settings: BenchSettings, tmp_path: Path) -> None:
    run(settings, tmp_path)
    header = json.loads((tmp_path / "run.json").read_text())
    assert header["inputs_sha256"] == hashlib.sha256((tmp_path / "inputs.jsonl").read_bytes()).hexdigest()
