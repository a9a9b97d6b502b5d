from __future__ import annotations

import getpass
import json
import os
import platform
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from draftwise.bench import fingerprint as module
from draftwise.bench.files import to_json
from draftwise.bench.fingerprint import GPU_FACTS, caches, code_revision, cpu_model, fingerprint, machine_state
from draftwise.errors import DraftwiseError


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """The sizes and devices whose read speed was asked for."""
    asked: list[tuple[int, str]] = []

    def read(size: int, device: str) -> float:
        asked.append((size, device))
        return 1e9 + size

    monkeypatch.setattr(module, "read_bandwidth", read)
    return asked


def test_the_fingerprint_is_strict_json_with_every_fact_of_the_machine(quick: list[tuple[int, str]]) -> None:
    found = json.loads(to_json(fingerprint()))
    assert found.keys() >= {"cpu", "cores", "threads", "load_average", "memory_bytes", "caches", "gpu", "platform"}
    assert found["backends"].keys() == {"float32", "bfloat16", "int8"}
    assert all(choice["backend"] in ("native", "packed", "plain") for choice in found["backends"].values())
    assert found["versions"].keys() >= {"draftwise", "python", "torch", "numpy", "scipy", "msgspec"}
    assert found["cores"] >= 1 and found["memory_bytes"] > 2**20 and found["gpu"] is None
    assert [size for size, _ in quick] == [8 << 20, 32 << 20, 256 << 20] and {place for _, place in quick} == {"cpu"}
    assert found["bandwidth"] == {str(size): 1e9 + size for size, _ in quick}


def test_nothing_in_it_names_the_machine_or_its_owner(
    quick: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: "planted-host")
    text = to_json(fingerprint())
    for name in ("planted-host", os.uname().nodename, str(Path.home()), os.getcwd()):
        assert name in ("", "/", "localhost") or name not in text
    user = getpass.getuser()
    assert len(user) < 5 or user not in text


def test_a_device_that_is_not_there_is_refused(quick: list[tuple[int, str]]) -> None:
    with pytest.raises(DraftwiseError, match="no device 'cuda:99'.*available: cpu"):
        fingerprint("cuda:99")
    assert quick == []


def test_the_processors_name_is_read_from_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU: the 2nd\nmodel name\t: Other\n")
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    assert cpu_model() == "Some CPU: the 2nd"


@pytest.mark.parametrize("text", [None, "processor\t: 0\nmodel name\t:\n"])
def test_a_kernel_that_gives_no_name_is_asked_otherwise(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(module, "_slow_cpu_model", lambda: "found slowly")
    assert cpu_model() == "found slowly"


def test_caches_are_read_in_bytes_and_strange_ones_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("1", "Data", "48K"), ("1", "Instruction", "64K"), ("2", "Unified", "2048K"), ("3", "Unified", "odd")]
    for number, facts in enumerate(rows):
        place = tmp_path / f"index{number}"
        place.mkdir()
        for name, value in zip(("level", "type", "size"), facts, strict=True):
            (place / name).write_text(f"{value}\n")
    (tmp_path / "index9").mkdir()
    monkeypatch.setattr(module, "CACHES", tmp_path)
    assert caches() == {"L1d": 49152, "L1i": 65536, "L2": 2097152}
    monkeypatch.setattr(module, "CACHES", tmp_path / "missing")
    assert caches() == {}


def test_a_gpu_gives_name_driver_clocks_power_limit_and_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def answer(*command: str) -> str:
        asked.append(command)
        return ", ".join(f"<{name}>" for name in GPU_FACTS)

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"card-{index}"))
    monkeypatch.setattr(module, "_output", answer)
    found: Any = machine_state("cuda:1")["gpu"]
    assert "--id=GPU-card-1" in asked[0]
    assert found.keys() >= {"name", "driver_version", "clocks.sm", "clocks.mem", "power.limit", "temperature.gpu"}
    assert all(value == f"<{name}>" for name, value in found.items())


def test_without_nvidia_smi_a_gpu_still_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid="card"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")
    monkeypatch.setattr(module, "_output", lambda *command: "")
    assert machine_state("cuda")["gpu"] == {"name": "Card 0"}


def test_the_revision_says_whether_files_differ(tmp_path: Path) -> None:
    assert code_revision(tmp_path) is None

    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    clean = code_revision(tmp_path)
    assert clean is not None and len(clean["commit"]) == 40 and clean["dirty"] is False
    (tmp_path / "file").write_text("two")
    dirty = code_revision(tmp_path)
    assert dirty == {"commit": clean["commit"], "dirty": True}
