"""A comparison on a console and as Markdown."""

from __future__ import annotations

import io

import pytest
from comparisons import cell, make_comparison
from rich.console import Console

from draftwise.report.compare import comparison_markdown, report_comparison

HOSTILE = "[bold red]x[/] |<script>alert(1)</script> *a* \x1b[31m\nnew"


def shown(width: int = 120, of: str = "speed", **changes: object) -> list[str]:
    file = io.StringIO()
    report_comparison(make_comparison(**changes), of, Console(file=file, width=width, color_system=None))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def row(lines: list[str], name: str) -> list[str]:
    return next(line for line in lines if line.startswith(f"{name} ")).split("  ")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("of", ["speed", "speedup"])
def test_no_line_is_wider_than_the_console_and_no_value_is_cut(width: int, of: str) -> None:
    lines = shown(width, of)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)


def test_a_row_holds_both_ratios_with_intervals_and_the_verdict() -> None:
    found = [value.strip() for value in row(shown(80), "SPS") if value.strip()]
    assert found == ["SPS", "0.90 [0.85–0.95]", "slower", "0.92 [0.87–0.97]", "0.97", "–"]
    wide = [value.strip() for value in row(shown(120), "BiLD") if value.strip()]
    start = ["BiLD", "100.0", "1234", "12.35"]
    assert wide == [*start, "1.20 [1.14–1.26]", "faster", "1.21 [1.15–1.27]", "0.97", "−0.100"]


def test_the_verdict_stands_behind_the_ratio_that_it_is_of() -> None:
    heads = next(line for line in shown(80, "speedup") if "verdict" in line)
    assert heads.index("speed [95 %]") < heads.index("speed-up [95 %]") < heads.index("verdict")


def test_long_names_cost_columns_before_they_are_wrapped() -> None:
    titles = {"as": "AS", "sps": "SPS γ=4 a/long/name", "bild": "BiLD"}
    lines = shown(80, titles=titles)
    assert any(line.startswith("SPS γ=4 a/long/name ") for line in lines)
    assert not any("agree" in line for line in lines if "verdict" in line)


def test_plain_decoding_has_no_ratio_of_speedups() -> None:
    found = [value.strip() for value in row(shown(80), "AS") if value.strip()]
    assert found[:4] == ["AS", "1.00 [0.95–1.05]", "no difference shown", "–"]


def test_the_runs_what_differs_and_what_to_beware_of_are_told() -> None:
    facts = {"hardware": ["cores is 4 in A and 8 in B"]}
    differences = {
        "facts": facts,
        "settings": ["gamma is 4 in A and 6 in B"],
        "software": ["torch is 1 in A and 2 in B"],
    }
    lines = shown(120, differences=differences)
    assert lines[0] == "A  runs/a, 2026-01-01T00:00:00+00:00, 60 of 60 samples, the reference"
    assert "! hardware that differs, so the ratios may say nothing: cores is 4 in A and 8 in B" in lines
    assert "settings that differ: gamma is 4 in A and 6 in B" in lines
    assert "software that differs: torch is 1 in A and 2 in B" in lines
    assert "! B is incomplete: 30 of 60 samples were taken." in lines
    assert "! BiLD: the quality changed by −0.100 [−0.105 to −0.095]." in lines


def test_a_single_sample_has_a_ratio_without_interval() -> None:
    alone = cell(1.1, None) | {"speed_low": None, "speed_high": None}
    found = row(shown(80, parts={"overall": {"as": alone}}, titles={"as": "AS"}), "AS")
    assert [value.strip() for value in found if value.strip()][:3] == ["AS", "1.10", "no difference shown"]


@pytest.mark.parametrize("width", [80, 120])
def test_hostile_names_are_text_on_the_console(width: int) -> None:
    cells = {"as": cell(1.0, None)}
    lines = shown(width, titles={"as": HOSTILE}, parts={"overall": cells, HOSTILE: cells}, notes=[HOSTILE])
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "! [bold red]x[/] |<script>alert(1)</script> *a*  [31m new" in lines


def test_markdown_holds_every_part_and_cell() -> None:
    text = comparison_markdown(make_comparison(), "speed")
    assert (
        text.count("\n| SPS | 100.0 | 1234 | 12.35 | 0.90 [0.85–0.95] | slower | 0.92 [0.87–0.97] | 0.97 | – |\n") == 2
    )
    assert "- A: runs/a, 2026-01-01T00:00:00+00:00, 60 of 60 samples, the reference\n" in text
    assert "### overall\n" in text and "### qa\n" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {10}


def test_hostile_names_are_text_in_markdown() -> None:
    from markdown_it import MarkdownIt

    cells = {"as": cell(1.0, None)}
    changes = {"titles": {"as": HOSTILE}, "parts": {"overall": cells, HOSTILE: cells}, "notes": [HOSTILE]}
    page = str(
        MarkdownIt("commonmark").enable("table").render(comparison_markdown(make_comparison(**changes), "speed"))
    )
    for mark in ("<script", "<em>", "<a ", "\x1b"):
        assert mark not in page
    assert page.count("<table>") == 2
    assert page.count("<tr>") == 4
