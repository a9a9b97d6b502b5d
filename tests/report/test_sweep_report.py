"""A sweep's tables: every cell in every width, the fastest ones, and the runs of an experiment side by side."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console
from summaries import figures
from test_report import printed, summary  # noqa: F401

from draftwise.report import report_experiment, result_lines

TITLES = [f"BiLD fb={fb} rb={rb} {draft}" for fb in (0.5, 0.7) for rb in (3, 5) for draft in ("opt-125m", "opt-350m")]


@pytest.fixture
def swept(summary: dict[str, Any]) -> dict[str, Any]:  # noqa: F811
    """Plain decoding, two cells of SPS and eight of BiLD on two subtasks, one of which has a name of its own."""
    names = ["AS", "SPS γ=2 opt-125m", "SPS γ=12 opt-350m", *TITLES]
    summary["environment"]["methods"] = {
        name: {"title": name, "method": name.split()[0].lower(), "lossless": not name.startswith("BiLD")}
        for name in names
    }
    summary["environment"]["methods"]["as"] = summary["environment"]["methods"].pop("AS") | {"title": "AS"}
    cells = {"as" if name == "AS" else name: figures(100 + 10.1 * n, 1 + n / 10) for n, name in enumerate(names)}
    best = {"lossless": names[2], "any": TITLES[-1]}
    summary["settings"]["sweep"] = {"gamma": [2, 12], "fallback_threshold": [0.5, 0.7], "draft": ["a", "b"]}
    return summary | {
        "overall": cells,
        "subtasks": {"grammar correction": cells, "poetry": cells},
        "explanations": {},
        "best": {part: best for part in ("overall", "grammar correction", "poetry")},
    }


@pytest.mark.parametrize("width", [80, 100, 120])
def test_every_cell_stands_in_every_table_within_the_width(swept: dict[str, Any], width: int) -> None:
    lines = printed(swept, width)
    start = next(n for n, line in enumerate(lines) if line.startswith("Overall Result"))
    assert all(len(line.rstrip()) <= width for line in lines[:start])
    assert not any("…" in line for line in lines)
    text = " ".join(" ".join(lines[:start]).split())
    rows = [line for line in lines[:start] if re.match(r"(SPS γ|BiLD fb)", line) and "[" in line]
    assert len(rows) == 3 * 10 and sum(line.startswith("AS ") for line in lines[:start]) == 3
    if width == 120:
        assert all(any(row.startswith(f"{title} ") for row in rows) for title in TITLES)
    assert "In the names: γ: gamma, fb: fallback threshold, rb: rollback threshold." in text
    assert "SPS gamma 2/12; BiLD fallback 0.5/0.7, rollback 3.0" in text


def test_the_best_cells_stand_after_the_tables_with_the_quality_of_a_lossy_one(swept: dict[str, Any]) -> None:
    lines = printed(swept, 120)
    at = next(n for n, line in enumerate(lines) if "fastest lossless" in line)
    rows = [line.split() for line in lines[at + 2 : at + 5]]
    words = "overall SPS γ=12 opt-350m 1.20 BiLD fb=0.7 rb=5 opt-350m 2.00 0.500 / 0.500"
    assert " ".join(rows[0]) == words
    assert [row[0] for row in rows] == ["overall", "grammar", "poetry"]
    assert at > max(n for n, line in enumerate(lines) if line.startswith("poetry") and n < at)


def test_of_many_cells_only_the_best_and_the_doubtful_are_explained(swept: dict[str, Any]) -> None:
    swept["explanations"] = {"overall": {label: f"about {label}." for label in swept["overall"] if label != "as"}}
    said = [line for line in printed(swept, 120) if line.startswith("· about")]
    doubtful = [label for label, own in swept["overall"].items() if own["verdict"] != "faster" and label != "as"]
    assert said == [f"· about {label}." for label in (*doubtful, "SPS γ=12 opt-350m", TITLES[-1])]
    assert len(doubtful) == 1


def test_without_a_sweep_no_best_is_shown(summary: dict[str, Any]) -> None:  # noqa: F811
    assert not any("fastest" in line or "In the names" in line for line in printed(summary, 100))


def test_a_lossless_winner_needs_no_quality_and_a_missing_one_is_a_dash(swept: dict[str, Any]) -> None:
    swept["best"] = {"overall": {"lossless": "as", "any": "as"}, "poetry": {"lossless": None, "any": None}}
    lines = printed(swept, 120)
    at = next(n for n, line in enumerate(lines) if "fastest lossless" in line)
    assert lines[at + 2].split() == ["overall", "AS", "1.00", "AS", "1.00"]
    assert lines[at + 3].split() == ["poetry", "–", "–", "–", "–"]


def test_each_cell_has_its_result_lines(swept: dict[str, Any]) -> None:
    lines = result_lines(swept)
    assert len(lines) == 3 * 10
    assert lines[0] == "Overall Result: AS: 100.00 tokens/sec, SPS γ=2 opt-125m: 110.10 tokens/sec -> 1.10 X Speedup"


@pytest.mark.parametrize("width", [80, 120])
def test_the_runs_of_an_experiment_stand_under_their_names(summary: dict[str, Any], width: int) -> None:  # noqa: F811
    console = Console(file=io.StringIO(), width=width)
    report_experiment([("temperature=0", summary), ("temperature=0.5", summary)], console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert "all 2 runs, overall" in text and text.count("speed-up [95 %]") == 1
    assert text.index("temperature=0 ") < text.index("temperature=0.5 ")
    assert len(re.findall(r"^(AS|SPS|BiLD) +", text, re.MULTILINE)) == 6
    line = "temperature=0.5: Overall Result: AS: 123.45 tokens/sec, SPS: 234.56 tokens/sec -> 1.90 X Speedup"
    assert line in text.splitlines()


def test_what_ran_the_passes_is_told(summary: dict[str, Any]) -> None:  # noqa: F811
    models = summary["environment"]["models"]
    fast = models["target"] | {"backend": "native", "exact": True, "instructions": "AVX-512", "passed_over": []}
    slow = fast | {"backend": "plain", "exact": False, "instructions": "", "passed_over": ["native: no compiler"]}
    told = {
        "native (AVX-512), exact": {"target": fast, "drafts": [fast]},
        "target: native (AVX-512), exact | draft builtin: plain, not exact; passed over native: no compiler": {
            "target": fast,
            "drafts": [slow],
        },
    }
    for words, found in told.items():
        summary["environment"]["models"] = found
        assert f"backend {words} decoding" in " ".join(" ".join(printed(summary, 160)).split())
    summary["environment"]["models"] = models
    assert not any(line.startswith("backend") for line in printed(summary, 120))


def test_a_model_that_runs_otherwise_than_the_target_is_marked(summary: dict[str, Any]) -> None:  # noqa: F811
    models = summary["environment"]["models"]
    other = models["target"] | {"name": "t5", "implementation": "transformers", "dtype": "bfloat16", "revision": "v2"}
    summary["environment"]["chat_template"] = True
    summary["environment"]["models"] = models | {"drafts": [models["target"], other]}
    text = " ".join(" ".join(printed(summary, 120)).split())
    assert "target builtin, draft builtin, t5@v2 (transformers, bfloat16), float32" in text
    assert "54 samples, as a conversation in the chat template's form" in text
