from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import click
import pytest
from click.testing import CliRunner

from draftwise.bench.experiment import Several
from draftwise.bench.settings import BenchSettings
from draftwise.cli.options import build, experiment_values, keys_of, settings_options
from draftwise.options import DecodingOptions, option, whole


@dataclass(frozen=True)
class Settings:
    count: int = option(4, "How many.", whole(1))
    share: float = option(0.0, "Which share.")
    names: tuple[str, ...] = option(("a", "b"), "Which ones.")
    stop_token_ids: tuple[int, ...] = option((), "Ids.")
    draft: str | None = option(None, "A path.")
    threads: int | None = option(None, "How many threads.")
    quick: bool = option(False, "In a hurry.")
    hidden: int = 7


@dataclass(frozen=True)
class Listed:
    gamma: int = option(4, "How many.", whole(1))
    top_p: float = option(0.5, "Which share.")
    limit: int = option(3, "How many at most.")
    draft: str | None = option(None, "A path.")


def given(*arguments: str) -> dict[str, Any] | str:
    """What a command that sweeps is called with, or what it says."""
    seen: list[dict[str, Any]] = []

    @click.command()
    @settings_options(Listed, lists=True)
    def command(**values: Any) -> None:
        seen.append(values)

    done = CliRunner().invoke(command, arguments)
    return seen[0] if seen else done.output


def call(*arguments: str, only: tuple[str, ...] | None = None) -> object:
    seen: list[object] = []

    @click.command()
    @settings_options(Settings, only=only)
    def command(**values: object) -> None:
        seen.append(build(Settings, values))

    done = CliRunner().invoke(command, arguments)
    return seen[0] if seen else done.output


def test_defaults_come_from_the_dataclass() -> None:
    assert call() == Settings()


def test_each_type_has_its_form() -> None:
    given = call(
        *("--count", "9", "--share", "0.5", "--names", "x, law analytics", "--stop-id", "3", "--stop-id", "5"),
        *("--approx", "here", "--threads", "2", "--quick"),
    )
    assert given == Settings(9, 0.5, ("x", "law analytics"), (3, 5), "here", 2, True)


def test_a_failed_check_names_the_option_and_the_value() -> None:
    assert "Invalid value for '--count': must be a whole number of at least 1, not 0" in str(call("--count", "0"))


def test_a_field_without_help_is_no_option() -> None:
    assert "No such option" in str(call("--hidden", "1"))


def test_only_the_named_fields_become_options() -> None:
    assert "No such option" in str(call("--count", "1", only=("share",)))
    assert call("--share", "1", only=("share",)) == Settings(share=1.0)


def test_help_says_what_each_option_does_and_its_default() -> None:
    text = " ".join(str(call("--help")).split())
    for expected in ("How many. [default: 4]", "Which share. [default: 0.0]", "Which ones. [default: a,b]"):
        assert expected in text
    assert "A path. --" in text


def test_a_command_that_sweeps_takes_several_values_of_some_options() -> None:
    assert given() == {"gamma": 4, "top_p": 0.5, "limit": 3, "draft": None}
    several = given("--gamma", "2, 4", "--top-p", "1,0.5", "--draft", "a,b")
    assert several == {"gamma": (2, 4), "top_p": (1.0, 0.5), "limit": 3, "draft": ("a", "b")}
    assert isinstance(several, dict) and all(isinstance(several[name], Several) for name in ("gamma", "draft"))
    assert given("--gamma", "2", "--draft", "a") == {"gamma": 2, "top_p": 0.5, "limit": 3, "draft": "a"}
    assert "'1,2' is not a valid integer" in given("--limit", "1,2")


def test_each_of_several_values_is_checked_and_none_may_stand_twice() -> None:
    assert "'--gamma': must be a whole number of at least 1, not 0" in given("--gamma", "2,0")
    assert "'--gamma': must have different values, not '2,2'" in given("--gamma", "2,2")
    assert "'--top-p': must have different values, not '1.0,1.0'" in given("--top-p", "1,1.0")


def test_a_command_that_does_not_sweep_takes_one_value() -> None:
    assert "not a valid integer" in str(call("--count", "1,2"))


def test_the_help_of_a_list_says_so() -> None:
    text = str(given("--help"))
    assert "--gamma INTEGER[,…]" in text and "--approx builtin|DIR|ID[,…]" in text and "--limit INTEGER " in text


def test_a_files_values_keep_their_types() -> None:
    values = {"gamma": [2, 4], "top_p": 1, "draft": "a,b", "limit": 2, "stop_token_ids": 3, "names": ["x", "y"]}
    found = experiment_values(values, Listed, Settings)
    assert found == {
        "gamma": (2, 4),
        "top_p": (1.0,),
        "draft": ("a,b",),
        "limit": 2,
        "stop_token_ids": [3],
        "names": "x,y",
    }
    assert isinstance(found["top_p"][0], float)


def test_a_file_may_call_an_option_as_its_field_or_as_the_command_line_does() -> None:
    from draftwise.cli.bench import command

    keys = keys_of(command)
    assert (keys["stop_id"], keys["stop_token_ids"], keys["approx"]) == ("stop_token_ids", "stop_token_ids", "draft")
    assert "experiment" not in keys and "help" not in keys


@pytest.mark.parametrize("kind", [DecodingOptions, BenchSettings])
def test_every_setting_of_a_bench_is_an_option(kind: type) -> None:
    from draftwise.cli.bench import command

    names = {parameter.name for parameter in command.params}
    assert {item.name for item in fields(kind)} - names <= {"decoding", "sweep"}
