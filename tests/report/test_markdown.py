"""The report for GitHub: complete, and with nothing in it that a data file or a model could mark up."""

from __future__ import annotations

import html
import re

from markdown_it import MarkdownIt
from summaries import make_summary

from draftwise.report.github import escaped
from draftwise.report.markdown import markdown

HOSTILE = "a|b`c<script>alert(1)</script>\n# d *e* _f_ [g](http://evil.example) ![h](i) &amp; $x$ \\ ~~z~~ me@a.example"


def render(text: str) -> str:
    return str(MarkdownIt("commonmark").enable("table").enable("strikethrough").render(text))


def texts(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def test_hostile_texts_are_shown_as_they_are() -> None:
    for text in (
        HOSTILE,
        "1. one",
        "- two",
        "+ three",
        "# four",
        "> five",
        "=== six",
        "www.evil.example",
        ":tada:",
    ):
        for line in (escaped(text), f"- {escaped(text)}", f"| {escaped(text)} |"):
            shown = texts(render(line))
            plain = " ".join(text.split())
            assert plain in (shown, shown.strip("| "), shown.removeprefix("| ").removesuffix(" |")), line


def test_no_markup_of_theirs_survives_rendering() -> None:
    summary = make_summary()
    summary["subtasks"] = {HOSTILE: summary["overall"]}
    summary["warnings"] = [HOSTILE]
    summary["explanations"] = {HOSTILE: {"sps": HOSTILE}}
    summary["environment"]["methods"]["sps"]["title"] = HOSTILE
    summary["environment"]["skipped_lines"] = [HOSTILE, {"id": HOSTILE}]
    page = render(markdown(summary))
    for tag in ("<script", "<a ", "<img", "<em>", "<s>", "<code>"):
        assert tag not in page
    assert page.count("<h1>") == 1


def test_every_table_has_as_many_cells_in_each_row_as_heads() -> None:
    summary = make_summary()
    summary["subtasks"] = {HOSTILE: summary["overall"]}
    page = render(markdown(summary))
    tables = page.split("<table>")[1:]
    assert len(tables) == 10
    for one in tables:
        one = one.split("</table>")[0]
        heads = one.count("<th")  # of them one is <thead>
        assert all(row.count("<td") == heads - 1 for row in one.split("<tr>")[2:])
        assert one.count("<tr>") >= 2


def test_it_holds_what_the_run_found() -> None:
    shown = texts(render(markdown(make_summary())))
    for words in (
        "SPS: 1.87 [1.68–2.06] times as fast as plain decoding, faster",
        "BiLD: 1.60 [1.44–1.76] times as fast as plain decoding, faster; lossy, quality 0.400",
        "−0.100 [−0.120 to −0.080]",
        "The run is incomplete: 54 of 63 samples were taken.",
        "multi-turn: SPS gains: 2.5 tokens a pass, 2.1 needed to break even.",
        "80 64 51 41",
        "repeats for ±1 %",
        "decoding.max_new_tokens",
        "versions.torch",
    ):
        assert words in shown


def test_an_interval_is_no_link_and_stays_readable() -> None:
    assert escaped("1.87 [1.68–2.06]") == "1.87 [1.68–2.06]"
    assert escaped("[1.2](x)") == "\\[1.2](x)" and escaped("[1]: x") == "\\[1]: x"
    assert escaped("max_new_tokens _x_") == "max_new_tokens \\_x\\_"


def test_a_run_without_costs_samples_or_baseline_is_reported_too() -> None:
    summary = make_summary()
    nothing = {key: None for key in summary["overall"]["sps"]}
    for part in (summary["overall"], *summary["subtasks"].values()):
        part.pop("as", None)
        part["sps"] = nothing | {"samples": 0}
    summary |= {"costs": None, "explanations": {}, "warnings": []}
    assert "SPS: – tokens/s" in markdown(summary)


def test_a_speed_up_without_an_interval_is_said_to_have_none() -> None:
    summary = make_summary()
    summary["overall"]["sps"] |= {"speedup": 1.2, "speedup_low": None, "speedup_high": None, "verdict": None}
    assert "- SPS: 1.20 times as fast as plain decoding, no interval\n" in markdown(summary)
    assert "None" not in markdown(summary)
