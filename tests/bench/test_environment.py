from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fakes import FakeEngine, models, prompts

from draftwise.bench import BenchSettings, bandwidth
from draftwise.bench.bandwidth import read_bandwidth
from draftwise.bench.environment import describe_end, describe_environment
from draftwise.bench.files import to_json
from draftwise.bench.models import Models, directory_hashes
from draftwise.options import DecodingOptions
from draftwise.tasks import Suite, suite_sha256


def test_the_environment_is_strict_json_and_names_its_sources(engine: FakeEngine, settings: BenchSettings) -> None:
    engine.target.bytes_per_pass = 1 << 20
    facts = describe_environment(models(engine), settings, Suite(tuple(prompts()), ("line 3 is empty",)))
    found = json.loads(to_json(facts))
    assert found["sha256"]["suite"] == suite_sha256(prompts())
    assert found["versions"].keys() >= {"draftwise", "python", "torch", "tokenizers", "safetensors", "numpy"}
    assert found["versions"].keys() >= {"scipy", "msgspec"}
    assert found["skipped_lines"] == ["line 3 is empty"] and found["memory"] == "enough"
    bild = found["methods"]["bild"]
    assert (bild["title"], bild["lossless"], bild["draft"]) == ("BiLD", False, "builtin")
    assert bild["options"] == {"fallback_threshold": 0.6, "rollback_threshold": 3.0, "max_draft_tokens": 10}
    assert found["bytes_per_pass"] == 1 << 20 and found["bandwidth"] > 1e6
    assert found["gpu"] is None and found["cores"] >= 1 and found["memory_bytes"] > 2**20


RULE_11 = ("command", "revision", "versions", "sha256", "models", "cpu", "threads", "cores", "load_average", "gpu")


def test_every_fact_that_a_number_needs_is_written_down_and_the_changing_ones_again_at_the_end(
    engine: FakeEngine, settings: BenchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["draftwise", "bench", "--data", "my prompts.jsonl"])
    found = describe_environment(models(engine), settings, Suite(tuple(prompts())))
    assert found.keys() >= set(RULE_11)
    assert found["command"] == "draftwise bench --data 'my prompts.jsonl'"
    assert found["revision"] is None or found["revision"].keys() == {"commit", "dirty"}
    assert describe_end(engine).keys() == {"load_average", "gpu", "bytes_per_pass", "bandwidth"}


@pytest.mark.parametrize(
    ("decoding", "wanted"),
    [
        (DecodingOptions(), [2, 7]),
        (DecodingOptions(stop_token_ids=(9, 2)), [9, 2, 7]),
        (DecodingOptions(ignore_eos=True), []),
        (DecodingOptions(ignore_eos=True, stop_token_ids=(9,)), [9]),
    ],
)
def test_the_ids_that_end_a_text_are_those_of_the_settings_and_the_target(
    engine: FakeEngine, settings: BenchSettings, decoding: DecodingOptions, wanted: list[int]
) -> None:
    engine.target.eos_token_ids = (2, 7)
    found = describe_environment(models(engine), replace(settings, decoding=decoding), Suite(tuple(prompts())))
    assert found["stop_token_ids"] == wanted


def test_each_draft_says_what_it_reads_a_pass(engine: FakeEngine, settings: BenchSettings) -> None:
    small, alone = FakeEngine(), FakeEngine(draft=None)
    small.draft.bytes_per_pass, engine.draft.bytes_per_pass = 1000, 5000
    several = models(None, a=small, b=engine)
    assert describe_environment(several, settings, Suite(tuple(prompts())))["draft_bytes_per_pass"] == {
        "a": 1000,
        "b": 5000,
    }
    nothing = Models({None: alone}, {"models": {}, "sha256": {}, "memory": ""})
    assert describe_environment(nothing, settings, Suite(tuple(prompts())))["draft_bytes_per_pass"] == {}


def test_hashes_cover_weights_config_and_tokenizer(tmp_path: Path) -> None:
    names = ["config.json", "merges.txt", "model.safetensors", "pytorch_model-00001-of-00002.bin", "spiece.model"]
    names += ["tokenizer.json", "vocab.json"]
    for name in [*names, "notes.txt", "optimizer.bin"]:
        (tmp_path / name).write_text(name)
    hashes = directory_hashes(tmp_path)
    assert sorted(hashes) == names
    assert hashes["config.json"] == hashlib.sha256(b"config.json").hexdigest()


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
