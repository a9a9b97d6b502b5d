"""What a reader must know before believing a table, each a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from math import log, log1p
from typing import Any

from draftwise.analysis.bootstrap import make_cells, repeats_needed
from draftwise.analysis.names import BASELINE, counted, lossless, method, title
from draftwise.analysis.samples import Samples, pairs
from draftwise.bench.told import prompt_notes

WIDE = 0.05
"""A speed-up whose interval is wider than this to either side is too uncertain to trust."""

MORE_PROMPTS = "more prompts would narrow it"


def make_notes(summary: dict[str, Any], samples: dict[str, Samples]) -> list[str]:
    """The warnings of a run, the gravest first."""
    return [
        *_about_run(summary),
        *prompt_notes(summary["environment"]),
        *_about_methods(summary, samples),
        *_about_machine(summary),
    ]


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
        if lossless(summary, name) and figures["agreement"] is not None and figures["agreement"] < 1:
            yield f"{said} should give the tokens of AS, and does on {figures['agreement']:.1%} of the prompts only."
    for group in _by_method(summary):
        if not lossless(summary, group[0]):
            yield f"{_said(summary, group)} is lossy: {_quality_beside(summary, group)}."
        yield from _about_speedups(summary, group, samples)


def _by_method(summary: dict[str, Any]) -> list[list[str]]:
    """The measured cells of each method but plain decoding, by label."""
    groups: dict[str, list[str]] = {}
    for name, figures in summary["overall"].items():
        if name != BASELINE and figures["samples"]:
            groups.setdefault(method(summary, name), []).append(name)
    return list(groups.values())


def _said(summary: dict[str, Any], labels: list[str]) -> str:
    """One cell by its title, several by what their titles begin with."""
    first = title(summary, labels[0])
    return first if len(labels) == 1 else first.split()[0]


def _quality_beside(summary: dict[str, Any], labels: list[str]) -> str:
    known = [value for label in labels if (value := summary["overall"][label]["quality"]) is not None]
    if not known:
        return "nothing says what its speed costs, since the prompts have no references"
    low, high = f"{min(known):.3f}", f"{max(known):.3f}"
    own = f"its answers score {low}" if low == high else f"its answers score {low} to {high}"
    other = summary["overall"].get(BASELINE, {}).get("quality")
    return own if other is None else f"{own} where those of AS score {other:.3f}"


def _about_speedups(summary: dict[str, Any], labels: list[str], samples: dict[str, Samples]) -> Iterator[str]:
    spans = {
        label: (figures["speedup_low"], figures["speedup_high"])
        for label in labels
        if (figures := summary["overall"][label])["speedup"] is not None
    }
    noise = [label for label, (low, high) in spans.items() if low <= 1 <= high]
    if noise:
        low, high = spans[noise[0]]
        held = f"the interval {low:.2f}–{high:.2f} holds 1" if len(noise) == 1 else "their intervals hold 1"
        yield f"{_listed(summary, noise)}: the difference from AS is noise, {held}."
    wide = [label for label, (low, high) in spans.items() if log(high / low) / 2 > log1p(WIDE)]
    if wide:
        needs = [_repeats_for(samples, label) for label in wide]
        known = [count for count in needs if count]
        cure = f"about {counted(max(known), 'repeat')} would do" if len(known) == len(needs) else MORE_PROMPTS
        what = "the interval of its speed-up is" if len(wide) == 1 else "the intervals of their speed-ups are"
        yield f"{_listed(summary, wide)}: {what} wider than ±{WIDE:.0%}; {cure}."


def _listed(summary: dict[str, Any], labels: list[str]) -> str:
    """A few cells by their titles, many by their number."""
    if len(labels) <= 3:
        return ", ".join(title(summary, label) for label in labels)
    return f"{len(labels)} cells of {_said(summary, labels)}"


def _repeats_for(samples: dict[str, Samples], label: str) -> int | None:
    found = pairs(samples[BASELINE], samples[label])
    cells = make_cells((p.other.prompt_id, p.other.repeat, (p.decode_log_ratio, 1)) for p in found)
    return repeats_needed(cells, WIDE)


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
