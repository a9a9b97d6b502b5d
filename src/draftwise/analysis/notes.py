"""What a reader must know before believing a table, each a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from math import log, log1p
from typing import Any

from draftwise.analysis.bootstrap import make_cells, repeats_needed
from draftwise.analysis.names import BASELINE, counted, lossless, title
from draftwise.analysis.samples import Samples, pairs

WIDE = 0.05
"""A speed-up whose interval is wider than this to either side is too uncertain to trust."""


def make_notes(summary: dict[str, Any], samples: dict[str, Samples]) -> list[str]:
    """The warnings of a run, the gravest first."""
    return [*_about_run(summary), *_about_methods(summary, samples), *_about_machine(summary)]


def _about_run(summary: dict[str, Any]) -> Iterator[str]:
    if not summary["complete"]:
        yield f"The run is incomplete: {summary['samples']} of {summary['planned_samples']} samples were taken."
    if summary["invalid"]:
        first = summary["invalid"][0]
        yield (
            f"{counted(len(summary['invalid']), 'invalid sample')} counted for nothing; "
            f"the first is {first['prompt_id']!r} with {title(summary, first['method'])}: {first['reason']}."
        )
    repeats = summary["settings"]["repeats"]
    if repeats < 3:
        yield f"{counted(repeats, 'repeat')} may not show how the machine scatters; take at least 3."


def _about_methods(summary: dict[str, Any], samples: dict[str, Samples]) -> Iterator[str]:
    for name, figures in summary["overall"].items():
        if name == BASELINE or not figures["samples"]:
            continue
        said = title(summary, name)
        if figures["unpaired"]:
            found = counted(figures["unpaired"], "sample")
            yield f"{found} of AS or {said} without a partner left out of its speed-up."
        exact = lossless(summary, name)
        if exact and figures["agreement"] is not None and figures["agreement"] < 1:
            yield f"{said} should give the tokens of AS, and does on {figures['agreement']:.1%} of the prompts only."
        if not exact:
            yield f"{said} is lossy: {_quality_beside(summary, figures)}."
        yield from _about_speedup(said, figures, samples, name)


def _quality_beside(summary: dict[str, Any], figures: dict[str, Any]) -> str:
    if figures["quality"] is None:
        return "nothing says what its speed costs, since the prompts have no references"
    own = f"its answers score {figures['quality']:.3f}"
    other = summary["overall"].get(BASELINE, {}).get("quality")
    return own if other is None else f"{own} where those of AS score {other:.3f}"


def _about_speedup(said: str, figures: dict[str, Any], samples: dict[str, Samples], name: str) -> Iterator[str]:
    if figures["speedup"] is None:
        return
    low, high = figures["speedup_low"], figures["speedup_high"]
    if low <= 1 <= high:
        yield f"{said}: the difference from AS is noise, the interval {low:.2f}–{high:.2f} holds 1."
    if log(high / low) / 2 > log1p(WIDE):
        found = pairs(samples[BASELINE], samples[name])
        cells = make_cells((p.other.prompt_id, p.other.repeat, (p.decode_log_ratio, 1)) for p in found)
        needed = repeats_needed(cells, WIDE)
        cure = f"about {counted(needed, 'repeat')} would do" if needed else "more prompts would narrow it"
        yield f"{said}: the interval of its speed-up is wider than ±{WIDE:.0%}; {cure}."


def _about_machine(summary: dict[str, Any]) -> Iterator[str]:
    environment, overall = summary["environment"], summary["overall"]
    far = sum(figures["far_outliers"] for figures in overall.values())
    if far:
        said = counted(far, "far outlier")
        yield f"{said} (beyond 3 interquartile ranges) among {summary['samples']} samples; none is dropped."
    load, cores = (environment.get("load_average") or [0.0])[0], environment.get("cores") or 1
    if load > 0.5 * cores:
        yield f"The machine was busy when the run began: load {load:.1f} on {cores} cores."
    if not environment.get("bandwidth"):
        yield "The speed of memory is unknown, so the rates were not held against it."
