from __future__ import annotations

from dataclasses import dataclass, fields

import click
import pytest
from click.testing import CliRunner

from draftwise.bench.settings import BenchSettings
from draftwise.cli.options import build, settings_options
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


@pytest.mark.parametrize("kind", [DecodingOptions, BenchSettings])
def test_every_setting_of_a_bench_is_an_option(kind: type) -> None:
    from draftwise.cli.bench import command

    names = {parameter.name for parameter in command.params}
    assert {item.name for item in fields(kind)} - names <= {"decoding", "sweep"}
