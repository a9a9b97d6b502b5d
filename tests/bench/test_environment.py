from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
import torch
from fakes import FakeEngine, models, prompts

from draftwise.bench import BenchSettings, bandwidth
from draftwise.bench.bandwidth import read_bandwidth
from draftwise.bench.environment import code_revision, describe_environment
from draftwise.bench.models import directory_hashes
from draftwise.bench.records import to_json
from draftwise.tasks import Suite, suite_sha256


def test_the_environment_is_strict_json_and_names_its_sources(engine: FakeEngine, settings: BenchSettings) -> None:
    engine.target.bytes_per_pass = 1 << 20
    found = describe_environment(models(engine), settings, Suite(tuple(prompts()), ("line 3 is empty",)))
    to_json(found)
    assert found["sha256"]["suite"] == suite_sha256(prompts())
    assert found["versions"].keys() >= {"draftwise", "python", "torch", "tokenizers", "safetensors", "numpy"}
    assert found["skipped_lines"] == ["line 3 is empty"] and found["memory"] == "enough"
    bild = found["methods"]["bild"]
    assert (bild["title"], bild["lossless"], bild["draft"]) == ("BiLD", False, "builtin")
    assert bild["options"] == {"fallback_threshold": 0.6, "rollback_threshold": 3.0, "max_draft_tokens": 10}
    assert found["bytes_per_pass"] == 1 << 20 and found["bandwidth"] > 1e6
    assert found["gpu"] is None and found["cores"] >= 1 and found["memory_bytes"] > 2**20


def test_hashes_cover_weights_config_and_tokenizer(tmp_path: Path) -> None:
    names = ["config.json", "merges.txt", "model.safetensors", "pytorch_model-00001-of-00002.bin", "spiece.model"]
    names += ["tokenizer.json", "vocab.json"]
    for name in [*names, "notes.txt", "optimizer.bin"]:
        (tmp_path / name).write_text(name)
    hashes = directory_hashes(tmp_path)
    assert sorted(hashes) == names
    assert hashes["config.json"] == hashlib.sha256(b"config.json").hexdigest()


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


@pytest.mark.parametrize("size", [1, 4096, 1 << 22])
def test_memory_is_read_at_a_plausible_speed(size: int) -> None:
    assert 1e6 < read_bandwidth(size, seconds=0.01) < 1e13


def test_a_busy_neighbour_does_not_make_memory_look_slower_than_one_thread_finds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With all threads every read waits for the slowest; alone, one thread still reads at its own speed."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    waits = {1: 1_000_000, 2: 50_000_000}
    monkeypatch.setattr(bandwidth, "_fastest", lambda read, device, seconds: waits[torch.get_num_threads()])
    try:
        assert bandwidth.read_bandwidth(1 << 20) == pytest.approx(2 * (1 << 20) / 1e-3)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
