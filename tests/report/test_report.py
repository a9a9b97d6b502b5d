from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from summaries import figures, make_summary

from draftwise.report import report_run, result_lines

LINE = re.compile(
    r"(Overall Result:|Subtask: [\w -]+,) AS: \d+\.\d\d tokens/sec, (SPS|BiLD): \d+\.\d\d tokens/sec"
    r" -> \d+\.\d\d X Speedup"
)


@pytest.fixture
def summary() -> dict[str, Any]:
    return make_summary()


def printed(summary: dict[str, Any], width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    report_run(summary, console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


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
    summary["overall"] = {"as": figures(123.449)}
    summary["subtasks"] = {"qa": {"as": figures(None)}}
    assert result_lines(summary) == ["Overall Result: AS: 123.45 tokens/sec"]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_line_of_a_table_is_wider_than_the_console(summary: dict[str, Any], width: int) -> None:
    lines = printed(summary, width)
    rows = [line for line in lines if re.match(r"(AS\*?|SPS|BiLD) .*\[", line)]
    assert len(rows) == 4 and all(len(line) <= width for line in rows)
    assert not any("…" in line for line in lines)
    assert len({len(row.rstrip()) for row in rows}) == 1


def test_a_lossy_methods_quality_stands_in_the_row_of_its_speed(summary: dict[str, Any]) -> None:
    row = next(line for line in printed(summary, 80) if line.startswith("BiLD"))
    assert "1.60 [1.44–1.76]" in row and row.rstrip().endswith("0.400")
    assert "· BiLD changes quality by −0.100 [−0.120 to −0.080]." in printed(summary, 80)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_each_subtask_is_a_row_with_the_cells_side_by_side(summary: dict[str, Any], width: int) -> None:
    rows = [line for line in printed(summary, width) if line.startswith(("multi-turn", "grammar correction"))]
    assert len(rows) == 2
    for row in rows:
        assert row.index("123.4") < row.index("1.87 [1.68–2.06] ▲") < row.index("1.60 [1.44–1.76] ▲")
        assert row.rstrip().endswith("0.400")


@pytest.mark.parametrize(("speed", "sign"), [(1.5, "▲"), (1.0, "≈"), (0.5, "▼")])
def test_the_verdict_stands_behind_the_speed_up_and_in_words_where_there_is_room(
    summary: dict[str, Any], speed: float, sign: str
) -> None:
    summary["overall"]["sps"] = figures(100, speed)
    narrow = next(line for line in printed(summary, 80) if line.startswith("SPS"))
    assert re.search(rf"\] {sign} ", narrow)
    wide = next(line for line in printed(summary, 120) if line.startswith("SPS"))
    assert {"▲": " faster ", "≈": " no difference ", "▼": " slower "}[sign] in wide
    assert "▲ faster, ▼ slower, ≈ no difference shown." in " ".join(" ".join(printed(summary, 80)).split())


@pytest.mark.parametrize("width", [80, 120])
def test_plain_decoding_is_no_news_to_itself(summary: dict[str, Any], width: int) -> None:
    row = next(line for line in printed(summary, width) if line.startswith("AS "))
    assert row.split()[3] == "1.00" and not {"≈", "difference", "[1.00–1.00]"} & set(row.split())


def test_the_noise_floor_has_a_row_overall_and_no_result_line(summary: dict[str, Any]) -> None:
    rows = [line for line in printed(summary, 80) if line.startswith("AS*")]
    assert len(rows) == 1 and "1.00 [0.90–1.10] ≈" in rows[0]
    assert not any("AS*" in line for line in result_lines(summary))


def test_the_noise_floor_alone_prints_its_rate(summary: dict[str, Any]) -> None:
    summary["overall"], summary["subtasks"] = {"as*": figures(99)}, {}
    assert result_lines(summary) == ["Overall Result: AS*: 99.00 tokens/sec"]


def test_acceptance_and_the_shares_of_time_stand_in_a_second_table_where_there_is_room(summary: dict[str, Any]) -> None:
    assert not any("verify" in line for line in printed(summary, 80))
    lines = printed(summary, 100)
    at = next(n for n, line in enumerate(lines) if "accepted" in line and "verify" in line)
    cells = [line.split() for line in lines[at + 2 : at + 5]]
    assert cells[0][:3] == ["AS", "–", "–"] and "90%" in cells[0]
    assert cells[1] == ["SPS", "61%", "80%", "64%", "51%", "0.33", "30%", "50%", "10%", "8%", "2%", "1.90", "2.10"]
    assert [row[0] for row in cells] == ["AS", "SPS", "BiLD"]


def test_only_the_sentences_that_matter_are_printed(summary: dict[str, Any]) -> None:
    losing = summary["overall"] | {"sps": figures(100, 0.7), "bild": figures(100, 1.5)}
    summary["subtasks"]["multi-turn"] = losing
    summary["explanations"]["multi-turn"] = {"sps": "SPS loses here: why.", "bild": "BiLD gains here."}
    lines = printed(summary, 100)
    assert "· SPS gains: 2.5 tokens a pass, 2.1 needed to break even." in lines
    assert "· multi-turn: SPS loses here: why." in lines
    assert not any(line.startswith(("· grammar", "· multi-turn: BiLD")) for line in lines)


def test_many_sentences_are_counted_instead(summary: dict[str, Any]) -> None:
    losing = summary["overall"] | {"sps": figures(70, 0.7)}
    summary["subtasks"] = {f"part {n}": losing for n in range(20)}
    summary["explanations"] |= {name: {"sps": "SPS loses here."} for name in summary["subtasks"]}
    lines = [line for line in printed(summary, 100) if line.startswith("· ")]
    assert sum("SPS loses here" in line for line in lines) == 8
    assert lines[-1] == "· The same of 12 more; the page has them all."


def test_a_default_run_fits_two_screens_of_a_terminal(summary: dict[str, Any]) -> None:
    summary["subtasks"] = {f"subtask {n}": summary["overall"] for n in range(8)}
    assert len(printed(summary, 100)) <= 66


def test_the_page_is_named_last(summary: dict[str, Any]) -> None:
    console = Console(file=io.StringIO(), width=40)
    report_run(summary, console, Path("runs") / ("a" * 60) / "report.html")
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.splitlines()[-1].split() == ["page", f"runs/{'a' * 60}/report.html"]


def test_what_a_data_file_wrote_cannot_move_the_cursor(summary: dict[str, Any]) -> None:
    hostile = "qa\x1b[2J\x9b\n\u202eevil"
    summary["subtasks"] = {hostile: summary["overall"]}
    summary["explanations"] = {hostile: {"sps": "No."}}
    summary["warnings"] = [f"Look at {hostile}."]
    text = "\n".join(printed(summary, 100))
    assert "[2J" in text and not set("\x1b\x9b\u202e") & set(text)
    assert sum("Subtask: qa [2J evil, AS:" in line for line in result_lines(summary)) == 2


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


def test_sessions_and_pinned_threads_are_told(summary: dict[str, Any]) -> None:
    summary["settings"]["sessions"], summary["environment"]["pinned"] = 3, [0, 1]
    text = " ".join(" ".join(printed(summary, 120)).split())
    assert "3 repeats in each of 3 sessions" in text and "2 threads on cores of their own, load 0.5" in text


def test_a_missing_value_is_a_dash(summary: dict[str, Any]) -> None:
    summary["overall"]["sps"] = figures(None, None, None) | {"agreement": None}
    row = next(line for line in printed(summary, 80) if line.startswith("SPS"))
    assert row.count("–") == 5


def test_result_lines_are_never_wrapped_or_coloured(summary: dict[str, Any]) -> None:
    console = Console(file=io.StringIO(), width=40, force_terminal=True)
    report_run(summary, console)
    assert result_lines(summary)[0] in console.file.getvalue().splitlines()  # type: ignore[attr-defined]
