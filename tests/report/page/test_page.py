"""What a built page holds, read as HTML: its size, its policy, its headline and its tables."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import page_runs
import pytest
from page_runs import SWEEP, Shape

from draftwise.errors import DraftwiseError
from draftwise.report.page import build_page, write_page

SMALL = Shape(prompts=2)


def built(shape: Shape = SMALL, **changes: Any) -> str:
    run, summary = page_runs.make_run(shape)
    return build_page(run, summary | changes)


def text_of(html: str) -> str:
    """What a reader without JavaScript sees."""
    bare = re.sub(r"<(script|style|noscript)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", bare).replace("&#39;", "'").split())


def data_of(html: str) -> Any:
    block = re.search(r'<script type="application/json" id="run-data">(.*?)</script>', html, re.DOTALL)
    assert block is not None
    return json.loads(block[1])


def test_a_default_run_fits_into_two_megabytes_and_fetches_nothing() -> None:
    html = built(Shape())
    assert len(html.encode()) < 1_200_000
    assert len(data_of(html)["browser"]["tasks"]) == 160
    assert re.findall(r"<(?:link|img|iframe|object|embed|base)\b", html) == []
    assert (
        re.findall(r"\s(?:src|href|action)=(?!\"#)", re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)) == []
    )


def test_the_policy_allows_no_request_and_knows_every_script_by_its_hash() -> None:
    html = built()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    allowed = policy[1].replace("&#39;", "'")
    assert allowed.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in allowed and "http" not in allowed
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 3
    for script in scripts:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in allowed


def test_the_headline_holds_every_method_with_interval_and_verdict() -> None:
    run, summary = page_runs.make_run(SMALL)
    text = text_of(build_page(run, summary))
    for label in ("sps", "bild", "as*"):
        figures = summary["overall"][label]
        assert f"{figures['speedup']:.2f}×" in text
        assert f"{figures['speedup_low']:.2f}–{figures['speedup_high']:.2f}" in text
    assert "▲ faster" in text and "≈ no difference shown" in text
    assert f"quality {summary['overall']['bild']['quality']:.3f}, AS 1.000" in text
    sps, bild = (summary["overall"][label]["speedup"] for label in ("sps", "bild"))
    assert f"SPS decodes at {sps:.2f}× and BiLD at {bild:.2f}× the speed of plain decoding" in text


def test_a_slower_method_and_noise_are_not_called_a_gain() -> None:
    run, summary = page_runs.make_run(SMALL)
    summary["overall"]["sps"] |= {"speedup": 0.8, "speedup_low": 0.7, "speedup_high": 0.9, "verdict": "slower"}
    summary["overall"]["bild"] |= {"speedup": 1.1, "speedup_low": 0.9, "speedup_high": 1.2}
    summary["overall"]["bild"]["verdict"] = "no difference shown"
    text = text_of(build_page(run, summary))
    assert "SPS decodes at 0.80× the speed of plain decoding; BiLD shows no difference" in text
    assert "▼ slower" in text


def test_the_headline_of_a_sweep_holds_its_best_cells() -> None:
    run, summary = page_runs.make_run(Shape(sweep=SWEEP, prompts=2))
    html = build_page(run, summary)
    best = summary["overall"][summary["best"]["overall"]["any"]]["speedup"]
    assert re.search(rf"<h1>Best of 18 cells: .*{best:.2f}× the speed of plain decoding</h1>", html)
    assert 3 <= html.count('<li class="card') <= 4
    assert "flatters it a little" in html


def test_the_tables_are_whole_without_javascript() -> None:
    run, summary = page_runs.make_run(SMALL)
    html = build_page(run, summary)
    text = text_of(html)
    for subtask, cells in summary["subtasks"].items():
        assert subtask in text
        for figures in cells.values():
            assert f"{figures['tokens_per_second']:,.0f}" in text
            assert f"{figures['acceptance_length']:.2f}" in text
    assert html.count('<details class="fold" open>') == html.count('<details class="fold"')
    for sentence in summary["explanations"]["qa"].values():
        assert sentence in text


def test_warnings_invalid_samples_and_the_environment_are_told() -> None:
    invalid = [{"prompt_id": "<b>qa</b>", "turn": 0, "method": "sps", "session": 0, "repeat": 0, "reason": "no token"}]
    html = built(warnings=["Beware of <dogs>."], invalid=invalid, invalid_count=7)
    assert "Beware of &lt;dogs&gt;." in html
    assert "7 invalid samples enter no figure; the first is &lt;b&gt;qa&lt;/b&gt; with sps: no token." in html
    text = text_of(html)
    for fact in ("Example CPU @ 2.60GHz", "draftwise bench --limit 20", "0123456789abcdef", "0.40 → 1.10", "abab"):
        assert fact in text


@pytest.mark.parametrize(
    ("shape", "title"),
    [
        (Shape(samples=False, checks=False, costs=False, prompts=2), "No sample was taken"),
        (Shape(methods=("as",), prompts=2), "AS decodes "),
        (Shape(methods=("sps", "bild"), prompts=2), "SPS decodes "),
        (Shape(samples=False, prompts=2), "No sample was taken"),
    ],
)
def test_a_run_that_lacks_much_has_a_page(shape: Shape, title: str) -> None:
    html = built(shape)
    assert f"<h1>{title}" in html
    assert "None" not in text_of(html)
    assert "nan" not in text_of(html).split()


def test_many_samples_are_thinned_and_the_rest_is_counted() -> None:
    html = built(Shape(subtasks=("qa",), prompts=60, repeats=30, methods=("as", "as*")))
    points = data_of(html)["points"]
    assert len(points["ms"]) == 3000
    assert points["left_out"] == 600
    assert points["kind"].count(2) > 0


def test_texts_that_no_file_can_hold_are_written_all_the_same(tmp_path: Path) -> None:
    run, summary = page_runs.make_run(SMALL)
    summary["environment"]["command"] = "draftwise \udcff\x00 \u202e"
    path = write_page(tmp_path, run, summary)
    assert path == tmp_path / "report.html"
    assert "draftwise ⟨U+DCFF⟩␀ ⟨U+202E⟩" in path.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    run, summary = page_runs.make_run(SMALL)
    (tmp_path / "report.html").mkdir()
    with pytest.raises(DraftwiseError, match=r"report\.html cannot be written"):
        write_page(tmp_path, run, summary)
    assert os.listdir(tmp_path) == ["report.html"]
