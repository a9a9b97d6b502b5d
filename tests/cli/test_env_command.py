from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from harness import Run

from draftwise.bench import fingerprint
from draftwise.cli.env import text_lines


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "read_bandwidth", lambda size, device: 20e9)


def test_text_says_what_a_number_on_this_machine_depends_on(run: Run) -> None:
    outcome = run("env", "--device", "cpu")
    assert (outcome.code, outcome.err) == (0, "")
    rows = dict(line.split("  ", 1) for line in outcome.out.splitlines())
    known = {"cpu", "cores", "threads", "load", "memory", "caches", "gpu", "backends", "platform", "versions", "code"}
    assert rows.keys() >= known
    assert "20.0 GB/s over 8 MiB, 20.0 GB/s over 32 MiB, 20.0 GB/s over 256 MiB" in rows["reads on cpu"]
    assert f"torch {torch.__version__}" in rows["versions"] and "numpy" in rows["versions"]


def test_json_is_one_object_and_nothing_else(run: Run) -> None:
    outcome = run("env", "--format", "json", "--device", "cpu")
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out)["bandwidth"] == {str(size << 20): 20e9 for size in (8, 32, 256)}


def test_the_threads_are_those_asked_for(run: Run) -> None:
    before = torch.get_num_threads()
    try:
        assert json.loads(run("env", "--format", "json", "--device", "cpu", "--threads", 1).out)["threads"] == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["cuda:99", "tpu"])
def test_a_device_that_is_not_there_is_named(run: Run, name: str) -> None:
    run("env", "--device", name).refused_with(f"'{name}'", "available: cpu")


def test_an_unknown_format_is_refused_with_the_known_ones(run: Run) -> None:
    run("env", "--format", "xml").refused_with("'xml'", "text", "json")


def test_a_gpu_and_its_large_buffer_are_told_in_words() -> None:
    facts = fingerprint.fingerprint() | {
        "device": "cuda:0",
        "gpu": {"name": "Card", "clocks.max.sm": "1980 MHz", "driver_version": "570.1"},
        "bandwidth": {str(1 << 30): 3.9e12},
        "backends": {
            "bfloat16": {"backend": "triton", "passed_over": []},
            "float32": {"backend": "plain", "passed_over": ["triton: no such package"]},
        },
    }
    lines = dict(line.split("  ", 1) for line in text_lines(facts))
    assert lines["gpu"].strip() == "Card, clocks max sm 1980 MHz, driver version 570.1"
    assert lines["reads on cuda:0"].strip() == "3900.0 GB/s over 1 GiB"
    assert lines["backends"].strip() == "bfloat16 triton, float32 plain (passed over triton: no such package)"


@pytest.mark.parametrize("name", ["env", "report"])
def test_help_imports_no_heavy_package(name: str) -> None:
    code = (
        "import sys\n"
        "from draftwise.cli.main import cli\n"
        f"cli.main([{name!r}, '--help'], standalone_mode=False)\n"
        "print('loaded:', sorted({'torch', 'numpy', 'rich', 'tokenizers', 'msgspec', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
