"""The options that say what runs a model's passes, from the command line to the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import Pair, Run, read

TINY = ("--subtasks", "qa", "--limit", 1, "--repeats", 1, "--warmups", 1, "--max-new-tokens", 4, "--methods", "as,sps")
pytestmark = pytest.mark.usefixtures("unmeasured_machine")


def models_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = read(directory / "run.json")["environment"]["models"]
    return found


def test_several_backends_are_runs_whose_records_say_which_ran(run: Run, pair: Pair, tmp_path: Path) -> None:
    output = tmp_path / "runs"
    done = run("bench", *pair.options, *TINY, "--backend", "plain,packed", "--output", output)
    assert done.code == 0, done.err
    for index, (name, exact) in enumerate({"plain": False, "packed": True}.items(), 1):
        models = models_of(output / f"0{index}-backend={name}")
        for model in (models["target"], *models["drafts"]):
            assert (model["backend"], model["exact"], model["passed_over"]) == (name, exact, [])
    assert "packed (oneDNN" in done.out and "plain, not exact" in done.out


def test_a_draft_may_have_a_backend_of_its_own_and_a_file_may_say_so(run: Run, pair: Pair, tmp_path: Path) -> None:
    file, output = tmp_path / "plan.toml", tmp_path / "run"
    file.write_text('backend = "packed"\ndraft_backend = "plain"\nexact = false\ndtype = "bfloat16"\n')
    done = run("bench", file, *pair.options, *TINY, "--output", output)
    assert done.code == 0, done.err
    models = models_of(output)
    assert (models["target"]["backend"], models["target"]["exact"]) == ("packed", False)
    assert models["drafts"][0]["backend"] == "plain"
    settings = read(output / "run.json")["settings"]
    assert (settings["backend"], settings["draft_backend"], settings["exact"]) == ("packed", "plain", False)
    again = run("bench", file, *pair.options, *TINY, "--exact", "--output", output)
    again.refused_with("exact is off there and on here")


def test_a_resumed_run_goes_on_with_the_same_backend(run: Run, pair: Pair, tmp_path: Path) -> None:
    command = ("bench", *pair.options, *TINY, "--output", tmp_path)
    assert run(*command, "--backend", "packed").code == 0
    assert run(*command, "--backend", "packed").code == 0
    run(*command, "--backend", "plain").refused_with("backend is packed there and plain here")


@pytest.mark.parametrize("backend", ["plain", "auto"])
def test_whole_numbers_are_a_dtype(run: Run, pair: Pair, backend: str) -> None:
    done = run("generate", "hello", *pair.options, "--dtype", "int8", "--backend", backend, "--max-new-tokens", 4)
    assert done.code == 0, done.err


def test_a_backend_that_cannot_run_says_why(run: Run, pair: Pair) -> None:
    asked = ("generate", "hello", *pair.options, "--backend")
    run(*asked, "triton").refused_with("backend 'triton' can't run this model here", "cuda")
    run(*asked, "packed", "--dtype", "int8").refused_with("'packed'", "not in int8", "choose auto, or plain")
