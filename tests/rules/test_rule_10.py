"""Rule 10: the baseline is honest: its share of the machine's measured bandwidth stands in every report."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bed import Reader, bench, reader, settings, summary_of
from paired_runs import make_run
from rich.console import Console
from synthetic import questions as prompts_of
from synthetic import timed

from draftwise.analysis.run import load_run
from draftwise.analysis.summary import summarize
from draftwise.report import report_run
from draftwise.report.markdown import markdown
from draftwise.report.page import build_page


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
    assert "bandwidth" in page and said.replace("%", "") in page
    assert f"| {said} |" in markdown(summary)


class Slow(Reader):
    """Planted: a baseline that is slowed down, against which anything looks fast."""

    def generate(self, prompt: Any, *, method: str = "sps", seed: Any = 0, **options: Any) -> Any:
        began = time.perf_counter_ns()
        answer = super().generate(prompt, method=method, seed=seed, **options)
        if method != "as":
            return answer
        time.sleep(0.005)
        more = time.perf_counter_ns() - began - answer.prefill_ns - answer.decode_ns
        return replace(answer, decode_ns=answer.decode_ns + more, ttft_ns=answer.ttft_ns)


def test_planted_a_slowed_baseline_shows_as_a_small_share_and_above_the_noise_floor(tmp_path: Path) -> None:
    honest, slowed = tmp_path / "honest", tmp_path / "slowed"
    bench(reader(), honest, settings())
    bench(reader(Slow), slowed, settings())
    runs = {path.name: load_run(path) for path in (honest, slowed)}
    for run in runs.values():
        run.environment.update(bandwidth=30e9, bytes_per_pass=4_000, after=None)
    found = {name: summarize(run) for name, run in runs.items()}
    assert share(found["slowed"]) < 0.8 * share(found["honest"])
    assert share(found["slowed"]) < 0.8 * share(found["slowed"], "as*")
    assert any("Plain decoding against itself gives" in line for line in found["slowed"]["warnings"])
    assert summary_of(slowed)["overall"]["as*"]["verdict"] == "faster"
