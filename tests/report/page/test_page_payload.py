"""What the page's scripts are given to draw."""

from __future__ import annotations

import page_runs
import pytest
from page_runs import Shape

from draftwise.report.page import payload as drawn
from draftwise.report.page.cells import cell_views


def test_numbers_hold_five_digits() -> None:
    assert drawn.rounded({"a": [1.23456789, 123456.789, 3, None, "x"]}) == {"a": [1.2346, 123460.0, 3, None, "x"]}


def test_figures_are_numbered_by_part_and_cell_so_that_no_name_is_a_key() -> None:
    run, summary = page_runs.make_run(Shape(subtasks=("overall", "__proto__"), prompts=2))
    found = drawn.payload(run, summary, cell_views(summary))
    assert found["subtasks"] == ["overall", "__proto__"]
    assert [len(part) for part in found["figures"]] == [4, 4, 4]
    assert found["figures"][1][2]["speedup"] == pytest.approx(
        summary["subtasks"]["overall"]["sps"]["speedup"], rel=1e-4
    )
    assert "speedup" not in found["figures"][0][0]  # plain decoding is not compared with itself


def test_far_outliers_are_the_last_samples_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    run, summary = page_runs.make_run(Shape(subtasks=("qa",), prompts=40, repeats=20))
    far = sum(figures["far_outliers"] for figures in summary["overall"].values())
    assert far > 3
    monkeypatch.setattr(drawn, "POINTS", 100)
    points = drawn.payload(run, summary, cell_views(summary))["points"]
    assert len(points["ms"]) == 100
    assert points["kind"].count(2) == far
    assert points["left_out"] == 40 * 20 * 4 - 100
    monkeypatch.setattr(drawn, "MOST_POINTS", 3)
    fewest = drawn.payload(run, summary, cell_views(summary))["points"]
    assert (
        sorted(fewest["ms"])
        == sorted(ms for ms, kind in zip(points["ms"], points["kind"], strict=True) if kind == 2)[-3:]
    )
    assert fewest["left_out"] == 40 * 20 * 4 - 3
