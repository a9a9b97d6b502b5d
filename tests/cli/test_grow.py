from __future__ import annotations

from pathlib import Path

import pytest
from harness import Run


def test_grows_and_says_what_it_wrote(run: Run, tmp_path: Path) -> None:
    big = tmp_path / "big"
    outcome = run("grow", "builtin", "--hidden", "×2", "--layers", "9", "-o", big)
    assert outcome.code == 0, outcome
    assert outcome.out == f"wrote {big}: 30,828,544 parameters, 0.06 GB in bfloat16\n"
    prompt = "Please tell me: which river flows through Esvel, and who rules Esvel?"
    options = ("--method", "as", "--target")
    assert run("generate", prompt, *options, big).out == run("generate", prompt, *options, "builtin").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("builtin", "--like", "gpt-5"), ("'gpt-5'", "facebook/opt-6.7b")),
        (("builtin", "--like", "facebook/opt-350m"), ("norms stand behind", "facebook/opt-125m")),
        (("builtin", "--hidden", "300"), ("300", "multiple of 256")),
        (("builtin", "--hidden", "wide"), ("hidden must", "'wide'")),
        (("builtin", "--dtype", "int3"), ("'int3'", "bfloat16")),
        (("nowhere", "--hidden", "×2"), ("no directory 'nowhere'",)),
    ],
)
def test_bad_input_is_one_line(run: Run, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    run("grow", *arguments, "-o", tmp_path / "big").refused_with(*words)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_refused(run: Run, tmp_path: Path) -> None:
    run("grow", "builtin", "--hidden", "×2", "-o", tmp_path).refused_with("exists", str(tmp_path))


def test_the_output_must_be_named(run: Run) -> None:
    run("grow", "builtin", "--hidden", "×2").refused_with("--output")
