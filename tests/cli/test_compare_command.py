"""``draftwise compare`` on runs that lie on the disk, and on a real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import Pair, Run
from stored_runs import PROMPTS, SPEEDS, store_run

from draftwise.bench.store import write_experiment
from draftwise.tasks import Prompt

SLOWER = {"as": 1.0, "sps": 1.6 / 1.1}


def rows(text: str) -> list[dict[str, object]]:
    parts = json.loads(text)["comparisons"][0]["parts"]
    return [figures for cells in parts.values() for figures in cells.values()]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store_run(tmp_path_factory.mktemp("compare") / "first")


def test_a_run_with_itself_shows_no_difference_on_every_row(run: Run, first: Path) -> None:
    done = run("compare", first, first, "--fail-below", 1, "--format", "json")
    assert done.code == 0
    found = rows(done.out)
    assert len(found) == 6
    assert {row["speed_verdict"] for row in found} == {"no difference shown"}
    assert {f"{row['speed']:.2f}" for row in found} == {"1.00"}
    text = run("compare", first, first)
    assert (text.code, text.err) == (0, "")
    assert text.out.count("1.00 [") == 6 + 3 and text.out.count("no difference shown") == 6


def test_a_real_run_with_itself_shows_no_difference(run: Run, pair: Pair, tmp_path: Path) -> None:
    small = ("--subtasks", "qa", "--limit", 2, "--repeats", 1, "--max-new-tokens", 4, "--ignore-eos", "--output")
    assert run("bench", *pair.options, *small, tmp_path / "run").code == 0
    done = run("compare", tmp_path / "run", tmp_path / "run", "--format", "json")
    assert (done.code, {row["speed_verdict"] for row in rows(done.out)}) == (0, {"no difference shown"})
    assert {row["agreement"] for row in rows(done.out)} == {1.0}


def test_a_tenth_slower_fails_and_the_line_names_the_cell(run: Run, first: Path, tmp_path: Path) -> None:
    slower = store_run(tmp_path / "slower", SLOWER, seed=1)
    done = run("compare", first, slower, "--fail-below", 0.95)
    assert done.code == 3
    assert "slower" in done.out
    assert done.err.startswith("draftwise: speed below 0.95 of A's: SPS in B 0.9") and done.err.count("\n") == 1
    assert run("compare", first, slower).code == 0
    assert run("compare", first, slower, "--fail-below", 0.8).code == 0
    assert run("compare", slower, first, "--fail-below", 0.95).code == 0


def test_noise_of_a_percent_does_not_fail(run: Run, first: Path, tmp_path: Path) -> None:
    other = store_run(tmp_path / "other", {"as": 0.99, "sps": 1.6 * 0.99}, seed=2)
    done = run("compare", first, other, "--fail-below", 0.95)
    assert (done.code, done.err) == (0, "")


def test_what_an_interval_does_not_rule_out_is_said_without_failing(run: Run, first: Path, tmp_path: Path) -> None:
    noisy = store_run(tmp_path / "noisy", seed=3, noise=0.4)
    done = run("compare", first, noisy, "--fail-below", 0.95)
    assert done.code == 0
    assert done.err.startswith("draftwise: speed below 0.95 of A's can't be ruled out") and done.err.count("\n") == 1


def test_a_slower_machine_fails_by_speed_and_not_by_speedup(run: Run, first: Path, tmp_path: Path) -> None:
    slower = store_run(tmp_path / "slower", {"as": 0.8, "sps": 1.6 * 0.8}, seed=1)
    assert run("compare", first, slower, "--fail-below", 0.95).code == 3
    assert run("compare", first, slower, "--fail-below", 0.95, "--of", "speedup").code == 0


def test_the_third_run_fails_too(run: Run, first: Path, tmp_path: Path) -> None:
    same, slower = store_run(tmp_path / "same", seed=1), store_run(tmp_path / "slower", SLOWER, seed=2)
    done = run("compare", first, same, slower, "--fail-below", 0.95)
    assert done.code == 3 and "SPS in C" in done.err and "in B" not in done.err
    assert "B against A" in done.out and "C against A" in done.out


OTHERS = {
    "hardware": {"cpu": "Another processor"},
    "models": {"sha256": {"target": {"model.safetensors": "b" * 64}, "drafts": {}}},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_facts_are_refused_unless_forced(run: Run, first: Path, tmp_path: Path, kind: str) -> None:
    other = store_run(tmp_path / "other", environment=OTHERS[kind], seed=1)
    difference = {
        "hardware": "cpu is A processor in A and Another processor in B",
        "models": "model.safetensors of the target is aaaaaaaaaaaa in A and bbbbbbbbbbbb in B",
    }[kind]
    run("compare", first, other).refused_with(f"B ({other}) can't be compared", f"{kind}: {difference}", "--force")
    done = run("compare", first, other, "--force")
    assert done.code == 0
    assert f"! {kind} that differ" in done.out
    assert difference in " ".join(done.out.split())


def test_other_data_are_refused_and_by_force_the_common_prompts_are_paired(
    run: Run, first: Path, tmp_path: Path
) -> None:
    other = store_run(tmp_path / "other", prompts=[*PROMPTS[:4], Prompt("new", "qa", ("Who?",))], seed=1)
    run("compare", first, other).refused_with("data: the set of prompts is", "--force")
    done = run("compare", first, other, "--force", "--format", "json")
    (pair,) = json.loads(done.out)["comparisons"]
    assert pair["prompts"]["shared"] == 4
    assert {"8 prompts only in A, left out.", "1 prompt only in B, left out."} <= set(pair["notes"])
    nothing = store_run(tmp_path / "nothing", prompts=[Prompt("new", "qa", ("Who?",))])
    run("compare", first, nothing, "--force").refused_with("A and B share no prompt")


def test_other_settings_are_told_and_not_refused(run: Run, first: Path, tmp_path: Path) -> None:
    done = run("compare", first, store_run(tmp_path / "other", seed=1, gamma=6))
    assert done.code == 0
    assert "settings that differ: gamma is 4 in A and 6 in B" in done.out


def test_an_unfinished_run_is_compared_with_a_warning(run: Run, first: Path, tmp_path: Path) -> None:
    part = store_run(tmp_path / "part", seed=1, samples=30)
    done = run("compare", first, part)
    assert done.code == 0
    assert "! B is incomplete: 30 of 144 samples were taken." in done.out


def test_a_cell_without_samples_fails_a_check_that_asks_for_it(run: Run, first: Path, tmp_path: Path) -> None:
    empty = store_run(tmp_path / "empty", samples=0)
    assert run("compare", first, empty).code == 0
    run("compare", first, empty, "--fail-below", 0.95).refused_with("nothing can be said of AS in B")


@pytest.mark.parametrize("value", ["0", "-1", "10.5", "nan", "inf", "fast"])
def test_a_limit_that_is_none_is_refused(run: Run, first: Path, value: str) -> None:
    run("compare", first, first, "--fail-below", value).refused_with("--fail-below", value)


def test_a_single_directory_is_refused(run: Run, first: Path) -> None:
    run("compare", first).refused_with("two runs or more, not 1")
    run("compare").refused_with("two runs or more, not 0")


def test_a_directory_without_a_run_is_refused(run: Run, first: Path, tmp_path: Path) -> None:
    run("compare", first, tmp_path / "none").refused_with("none", "run.json")


def test_an_experiment_of_several_runs_names_its_directories(run: Run, first: Path, tmp_path: Path) -> None:
    rows = [{"label": name, "directory": f"0{n}-{name}", "settings": {}} for n, name in enumerate(("a", "b"))]
    write_experiment(tmp_path, {"runs": rows})
    done = run("compare", first, tmp_path)
    done.refused_with("holds an experiment of 2 runs", str(tmp_path / "00-a"), str(tmp_path / "01-b"))


def test_markdown_goes_to_stdout(run: Run, first: Path) -> None:
    done = run("compare", first, first, "--format", "md")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("# Runs compared\n") and "\n## B against A\n" in done.out


def test_the_speeds_are_those_of_the_runs(run: Run, first: Path, tmp_path: Path) -> None:
    faster = store_run(tmp_path / "faster", {**SPEEDS, "sps": 2.0}, seed=4)
    figures = json.loads(run("compare", first, faster, "--format", "json").out)["comparisons"][0]["parts"]["overall"]
    assert figures["sps"]["speed"] == pytest.approx(1.25, rel=0.02)
    assert figures["sps"]["speed_verdict"] == "faster"
