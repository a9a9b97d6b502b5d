from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from draftwise.report import report_run, result_lines

MODEL = {"name": "builtin", "implementation": "own", "dtype": "float32", "device": "cpu"}
LINE = re.compile(
    r"(Overall Result:|Subtask: [\w -]+,) AS: \d+\.\d\d tokens/sec, (SPS|BiLD): \d+\.\d\d tokens/sec"
    r" -> \d+\.\d\d X Speedup"
)


def figures(rate: float | None, speedup: float | None = None, quality: float | None = 0.5) -> dict[str, Any]:
    keys = ("tokens_per_second", "speedup", "end_to_end_speedup")
    values = dict(zip(keys, (rate, speedup, speedup), strict=True))
    spans = {f"{key}_{end}": v and v * by for key, v in values.items() for end, by in (("low", 0.9), ("high", 1.1))}
    return values | spans | {"acceptance_length": 2.5, "agreement": 1.0, "quality": quality, "bandwidth_share": 0.34}


@pytest.fixture
def summary() -> dict[str, Any]:
    methods = {"as": figures(123.449, 1), "sps": figures(234.56, 1.87), "bild": figures(200, 1.6, 0.4)}
    return {
        "complete": False,
        "samples": 54,
        "settings": {
            "methods": ["as", "sps", "bild"],
            "suite": "builtin",
            "repeats": 3,
            "dtype": "float32",
            "decoding": {
                "temperature": 0.0,
                "max_new_tokens": 30,
                "seed": 0,
                "gamma": 4,
                "fallback_threshold": 0.6,
                "rollback_threshold": 3.0,
                "max_draft_tokens": 10,
            },
        },
        "environment": {
            "models": {"target": MODEL, "drafts": [MODEL]},
            "versions": {"draftwise": "0.1.0", "torch": "2.13.0"},
            "revision": {"commit": "0123456789abcdef", "dirty": True},
            "cpu": "Some CPU @ 2 GHz",
            "cores": 2,
            "threads": 2,
            "load_average": [0.5, 0.5, 0.5],
            "prompts": 6,
            "bandwidth": 29.5e9,
            "bytes_per_pass": 26_900_000,
            "gpu": None,
            "methods": {
                "as": {"title": "AS", "lossless": True},
                "sps": {"title": "SPS", "lossless": True},
                "bild": {"title": "BiLD", "lossless": False},
            },
        },
        "overall": methods,
        "subtasks": {"multi-turn": methods, "grammar correction": methods},
        "best": {},
        "warnings": ["The run is incomplete: 54 of 63 samples were taken."],
    }


def printed(summary: dict[str, Any], width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    report_run(summary, console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_result_lines_have_the_seeds_form(summary: dict[str, Any]) -> None:
    lines = result_lines(summary)
    assert lines[0] == "Overall Result: AS: 123.45 tokens/sec, SPS: 234.56 tokens/sec -> 1.90 X Speedup"
    assert lines[1] == "Overall Result: AS: 123.45 tokens/sec, BiLD: 200.00 tokens/sec -> 1.62 X Speedup"
    assert lines[2].startswith("Subtask: multi-turn, AS: 123.45 tokens/sec, SPS: 234.56 tokens/sec -> 1.90 X")
    assert len(lines) == 6 and all(LINE.fullmatch(line) for line in lines)


def test_the_printed_ratio_is_that_of_the_printed_rates(summary: dict[str, Any]) -> None:
    for line in result_lines(summary):
        plain, other, ratio = map(float, re.findall(r"\d+\.\d\d", line))
        assert f"{other / plain:.2f}" == f"{ratio:.2f}"


def test_without_plain_decoding_only_the_rates_are_printed(summary: dict[str, Any]) -> None:
    for methods in (summary["overall"], *summary["subtasks"].values()):
        methods.pop("as", None)
    assert result_lines(summary)[0] == "Overall Result: SPS: 234.56 tokens/sec"


def test_plain_decoding_alone_prints_its_rate(summary: dict[str, Any]) -> None:
    summary["overall"] = {"as": figures(123.449, 1)}
    summary["subtasks"] = {"qa": {"as": figures(None)}}
    assert result_lines(summary) == ["Overall Result: AS: 123.45 tokens/sec"]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_of_a_table_is_wider_than_the_console(summary: dict[str, Any], width: int) -> None:
    lines = printed(summary, width)
    rows = [line for line in lines if re.match(r"(AS|SPS|BiLD) ", line)]
    assert len(rows) == 9 and all(len(line) <= width for line in rows)
    assert not any("…" in line for line in lines)
    assert len({len(row.rstrip()) for row in rows}) == 1


def test_a_lossy_methods_quality_stands_in_the_row_of_its_speed(summary: dict[str, Any]) -> None:
    row = next(line for line in printed(summary, 80) if line.startswith("BiLD"))
    assert "1.60 [1.44–1.76]" in row and row.rstrip().endswith("0.400")


def test_environment_and_warnings_are_printed(summary: dict[str, Any]) -> None:
    text = " ".join(" ".join(printed(summary, 120)).split())
    for words in (
        "Some CPU @ 2 GHz, 2 cores, 2 threads, load 0.5",
        "commit 0123456789 with changes",
        "AS uses 34% of that",
        "! The run is incomplete: 54 of 63 samples were taken.",
        "SPS gamma 4; BiLD fallback 0.6, rollback 3.0, at most 10 drafted",
        "X is the plain ratio",
    ):
        assert words in text


def test_a_missing_value_is_a_dash(summary: dict[str, Any]) -> None:
    summary["overall"]["sps"] = figures(None, None, None)
    row = next(line for line in printed(summary, 80) if line.startswith("SPS"))
    assert row.count("–") == 4


def test_result_lines_are_never_wrapped_or_coloured(summary: dict[str, Any]) -> None:
    console = Console(file=io.StringIO(), width=40, force_terminal=True)
    report_run(summary, console)
    assert result_lines(summary)[0] in console.file.getvalue().splitlines()  # type: ignore[attr-defined]
