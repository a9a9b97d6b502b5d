from __future__ import annotations

from pathlib import Path

import pytest

from draftwise.bench.cells import make_cells
from draftwise.bench.experiment import Several, expand, read_experiment
from draftwise.errors import DraftwiseError

KNOWN = {
    "gamma": "gamma",
    "max_new_tokens": "max_new_tokens",
    "stop_id": "stop_token_ids",
    "stop_token_ids": "stop_token_ids",
}


def test_single_values_make_one_run_without_a_name() -> None:
    (run,) = expand({"gamma": 2, "limit": 3, "methods": ("as", "sps")})
    assert (run.label, run.folder) == ("", ".")
    assert (run.settings.decoding.gamma, run.settings.limit, run.settings.sweep) == (2, 3, ())


def test_options_of_some_methods_are_swept_within_one_run() -> None:
    (run,) = expand({"gamma": Several((2, 4)), "rollback_threshold": Several((3.0, 4.0))})
    assert run.label == ""
    assert [cell.label for cell in make_cells(run.settings)] == [
        "as",
        "as*",
        "sps gamma=2",
        "sps gamma=4",
        "bild rollback_threshold=3",
        "bild rollback_threshold=4",
    ]


def test_options_of_every_method_make_a_run_each() -> None:
    runs = expand({"temperature": Several((0.0, 0.5)), "max_new_tokens": Several((10, 20)), "gamma": Several((2, 4))})
    assert [run.label for run in runs] == [
        "temperature=0 max_new_tokens=10",
        "temperature=0 max_new_tokens=20",
        "temperature=0.5 max_new_tokens=10",
        "temperature=0.5 max_new_tokens=20",
    ]
    assert runs[2].settings.decoding.temperature == 0.5 and runs[2].settings.decoding.max_new_tokens == 10
    assert all(len(run.settings.sweep) == 1 for run in runs)


def test_targets_are_named_by_their_ends_and_folders_hold_no_odd_character() -> None:
    runs = expand({"target": Several(("org/large one", "org/huge")), "draft": Several(("a", "b"))})
    assert [(run.label, run.folder) for run in runs] == [
        ("target=large one", "01-target=large-one"),
        ("target=huge", "02-target=huge"),
    ]
    assert runs[1].settings.drafts == ("a", "b")


def test_a_value_that_fails_in_one_run_is_named() -> None:
    with pytest.raises(DraftwiseError, match="unknown dtype 'int3'; choose from"):
        expand({"dtype": Several(("float32", "int3"))})


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "it.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_keys_are_the_options_names_dashes_tolerated(tmp_path: Path) -> None:
    path = written(tmp_path, 'max-new-tokens = 5\ngamma = [2, 4] # two\n"stop_id" = [1]\n')
    assert read_experiment(path, KNOWN) == {"max_new_tokens": 5, "gamma": [2, 4], "stop_token_ids": [1]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gama = 2", "unknown key 'gama'; did you mean 'gamma'"),
        ("xyzzy = 2", "unknown key 'xyzzy'; its keys are the options of"),
        ("gamma = ", r"not valid TOML: .*line 1, column 9"),
        ("gamma = 2\ngamma = 3", r"not valid TOML: .*line 2"),
        ("max-new-tokens = 1\nmax_new_tokens = 2", "'max_new_tokens' gives the option 'max_new_tokens' a second time"),
        ("stop_id = 1\nstop_token_ids = 2", "a second time"),
        ("[decoding]\ngamma = 2", r"\[decoding\] is a table"),
        ("[[gamma]]\nx = 2", r"\[gamma\] is a table"),
        ("gamma.x = 2", r"\[gamma\] is a table"),
        (b"gamma = '\xff'", "not valid TOML: it is not UTF-8"),
        ("gamma = " + "[" * 50000, "not valid TOML"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused_in_one_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DraftwiseError, match=words) as caught:
        read_experiment(path, KNOWN)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(DraftwiseError, match=f"{path}.*cannot be read: .*give a TOML file"):
            read_experiment(path, KNOWN)
