"""Rule 10: the baseline is honest: its share of the machine's measured bandwidth stands in every report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bed import Machine, bench
from paired_runs import make_run
from rich.console import Console
from synthetic import questions as prompts_of
from synthetic import timed

from draftwise.analysis.run import load_run
from draftwise.analysis.summary import summarize
from draftwise.report import report_run
from draftwise.report.markdown import markdown
from draftwise.report.page import build_page

NARROW_SPACE = "\u202f"


def share(summary: dict[str, Any], label: str = "as") -> float:
    value = summary["overall"][label]["bandwidth_share"]
    assert isinstance(value, float)
    return value


def test_the_share_is_bytes_read_by_time_by_bandwidth() -> None:
    """20 passes of 30 MB in 0.1 s are 6 GB/s, a fifth of 30 GB/s."""
    found = summarize(make_run(timed({"as": 1.0, "sps": 1.6}, 40, 3, 0, scatter=0.0), prompts_of(40)))
    seconds, passes = (found["overall"]["as"][key] for key in ("seconds", "target_passes"))
    assert share(found) == pytest.approx(passes * 30e6 / seconds / 30e9)
    assert 0.1 < share(found) < 0.4


def test_it_stands_in_the_summary_the_console_the_page_and_markdown(real_run: Path) -> None:
    run = load_run(real_run)
    summary = summarize(run)
    said = f"{share(summary):.0%}"
    console = Console(width=120)
    with console.capture() as printed:
        report_run(summary, console)
    assert f"AS uses {said} of that" in " ".join(printed.get().split())
    page = build_page(run, summary)
    assert f"of the memory&#39;s bandwidth</dt><dd>{said.replace('%', NARROW_SPACE + '%')}</dd>" in page
    assert column(markdown(summary), "of memory's speed")[0] == said


def column(text: str, name: str) -> list[str]:
    """The cells below a head of the first table that has it."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    head = next(place for place, row in enumerate(rows) if name in row)
    return [row[rows[head].index(name)] for row in rows[head + 2 :] if len(row) == len(rows[head])]


class Slowed(Machine):
    """Planted: a baseline that is slowed down threefold, against which anything looks fast."""

    def _answer(self, kind: str, ids: list[int], method: str, *more: Any) -> Any:
        self.mood = lambda number: (3.0 if method == "as" else 1.0) * (1 + number % 7 / 1000)
        return super()._answer(kind, ids, method, *more)


def test_planted_a_slowed_baseline_shows_as_a_small_share_and_above_the_noise_floor(tmp_path: Path) -> None:
    """A pass takes 10 ms and reads 150 MB; at 30 GB/s that is half of what memory gives."""
    found = {}
    for name, machine in (("honest", Machine()), ("slowed", Slowed())):
        bench(machine, tmp_path / name)
        run = load_run(tmp_path / name)
        run.environment.update(bandwidth=30e9, bytes_per_pass=150_000_000, after=None)
        found[name] = summarize(run)
    assert share(found["honest"]) == pytest.approx(0.5)
    assert share(found["slowed"]) == pytest.approx(0.5 / 3, rel=0.01)
    assert share(found["slowed"], "as*") == pytest.approx(0.5, rel=0.01)
    assert found["slowed"]["overall"]["as*"]["verdict"] == "faster"
    assert any("Plain decoding against itself gives 3.0" in line for line in found["slowed"]["warnings"])
