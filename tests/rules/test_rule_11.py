"""Rule 11: every run tells where and how it was measured; a comparison refuses other hardware, models or data."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bed import Machine, bench

from draftwise.bench import BenchSettings, sessions
from draftwise.bench.fingerprint import GPU_FACTS, machine_state
from draftwise.bench.models import Models
from draftwise.bench.store import read_run
from draftwise.cli.main import main
from draftwise.errors import DraftwiseError

FACTS = {
    "command": str,
    "time": str,
    "revision": (dict, type(None)),
    "versions": dict,
    "cpu": str,
    "cores": int,
    "threads": int,
    "load_average": list,
    "gpu": (dict, type(None)),
    "bandwidth": float,
    "bytes_per_pass": int,
    "platform": str,
    "memory_bytes": int,
    "models": dict,
    "sha256": dict,
    "prompts_sha256": str,
    "warm_ups": int,
}
"""What the rule asks for, by name and kind; ``gpu`` is None on a CPU, ``revision`` outside a checkout."""


def missing(environment: dict[str, Any]) -> list[str]:
    """The facts that an environment lacks, or has in another kind."""
    return [name for name, kind in FACTS.items() if not isinstance(environment.get(name), kind)] + [
        name for name in ("revision", "gpu") if name not in environment
    ]


def test_every_fact_is_there(real_run: Path) -> None:
    header = read_run(real_run)
    environment = header["environment"]
    assert missing(environment) == []
    assert environment["command"].startswith("draftwise bench --limit 1")
    assert {"draftwise", "python", "torch", "numpy", "tokenizers", "safetensors"} <= environment["versions"].keys()
    assert environment["revision"] is None or environment["revision"].keys() == {"commit", "dirty"}
    hashes = environment["sha256"]
    assert len(hashes["target"]["model.safetensors"]) == 64 and len(hashes["target"]["tokenizer.json"]) == 64
    assert len(hashes["drafts"]["builtin"]["model.safetensors"]) == 64 and len(hashes["suite"]) == 64


@pytest.mark.parametrize("name", FACTS)
def test_planted_a_fact_that_is_left_out_is_noticed(name: str, real_run: Path) -> None:
    environment = dict(read_run(real_run)["environment"])
    del environment[name]
    assert name in missing(environment)


def test_the_settings_and_seeds_are_resolved(real_run: Path) -> None:
    settings = BenchSettings.from_record(read_run(real_run)["settings"])
    assert (settings.decoding.seed, settings.decoding.max_new_tokens, settings.threads) == (5, 6, 1)
    assert settings.suite == "builtin" and settings.methods == ("as", "as*", "sps", "bild")


def test_the_state_that_changes_is_told_before_and_after(real_run: Path) -> None:
    lines = [json.loads(line) for line in (real_run / "sessions.jsonl").read_text("utf-8").splitlines()]
    assert [line["when"] for line in lines] == ["begin", "end"]
    end = json.loads((real_run / "end.json").read_text("utf-8"))["environment"]
    for state in (*lines, end):
        assert len(state["load_average"]) == 3 and state["bandwidth"] > 0 and "gpu" in state and "pid" in state


def test_a_gpu_is_asked_for_what_moves_its_speed_before_and_after() -> None:
    """tests/bench/test_fingerprint.py reads the answers; ``machine_state`` asks at both ends of a session."""
    asked = {"name", "driver_version", "clocks.sm", "clocks.mem", "power.limit", "temperature.gpu"}
    assert asked <= set(GPU_FACTS)
    assert machine_state("cpu").keys() == {"load_average", "gpu"} and machine_state("cpu")["gpu"] is None


def compare(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, arguments)])
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out, " ".join(captured.err.split())


def other(run: Path, directory: Path, *keys: str, value: Any) -> Path:
    """A copy of a run whose environment says something else."""
    shutil.copytree(run, directory)
    header = json.loads((directory / "run.json").read_text("utf-8"))
    place = header["environment"]
    for key in keys[:-1]:
        place = place[key]
    assert place[keys[-1]] != value
    place[keys[-1]] = value
    (directory / "run.json").write_text(json.dumps(header), "utf-8")
    return directory


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (("cpu",), "Another processor", "Another processor"),
        (("cores",), 96, "96"),
        (("sha256", "target", "model.safetensors"), "0" * 64, "target"),
        (("sha256", "target", "tokenizer.json"), "0" * 64, "tokenizer"),
        (("sha256", "drafts", "builtin", "model.safetensors"), "0" * 64, "draft"),
        (("sha256", "suite"), "0" * 64, "data: the suite"),
    ],
)
def test_planted_a_run_of_another_machine_model_or_data_is_not_compared(
    keys: tuple[str, ...],
    value: Any,
    named: str,
    real_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    strange = other(real_run, tmp_path / "other", *keys, value=value)
    code, out, err = compare(real_run, strange, capsys=capsys)
    assert (code, out) == (2, "") and named in err
    code, out, _ = compare(real_run, strange, "--force", capsys=capsys)
    assert code == 0 and "SPS" in out


def test_a_run_is_no_other_than_itself(real_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = compare(real_run, real_run, "--format", "json", capsys=capsys)
    assert code == 0
    assert "faster" not in out and "slower" not in out and "no difference shown" in out


def test_planted_weights_that_change_between_two_sessions_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench(Machine(), tmp_path / "began")
    run = other(tmp_path / "began", tmp_path / "run", "sha256", value={"target": {"model.safetensors": "a" * 64}})
    (run / "records.jsonl").unlink()
    for letter in "ba":
        facts = {"sha256": {"target": {"model.safetensors": letter * 64}}, "memory": "enough"}
        models = Models({"builtin": Machine()}, facts)  # type: ignore[dict-item]
        monkeypatch.setattr("draftwise.bench.models.find_models", lambda *_, m=models: SimpleNamespace(load=lambda: m))
        if letter == "a":
            sessions._measure(run, 0, os.getppid(), sessions._Teller(1))  # noqa: SLF001
        else:
            with pytest.raises(DraftwiseError, match="have changed since it began: model.safetensors of the target"):
                sessions._measure(run, 0, os.getppid(), sessions._Teller(1))  # noqa: SLF001
        assert (run / "records.jsonl").exists() == (letter == "a")
