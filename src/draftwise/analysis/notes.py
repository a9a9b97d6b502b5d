"""What a reader must know before believing a table, each a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, floor, log, log1p
from typing import Any

from draftwise.analysis.names import BASELINE, FLOOR, counted, lossless, method, title
from draftwise.analysis.run import RunData
from draftwise.bench.plan import tasks_of
from draftwise.bench.told import prompt_notes

UNSTEADY = 0.15
"""Plain decoding's tokens/s whose interval is wider than this to either side was not measured in peace."""

WIDE = 0.05
"""A speed-up whose interval is wider than this to either side is too uncertain to trust."""


def make_notes(summary: dict[str, Any], run: RunData) -> list[str]:
    """The warnings of a run, the gravest first."""
    return [
        *_about_run(summary),
        *_about_checks(run),
        *_about_repeatability(summary, run),
        *_about_drift(summary),
        *prompt_notes(summary["environment"]),
        *_about_methods(summary),
        *_about_machine(summary),
    ]


def _about_run(summary: dict[str, Any]) -> Iterator[str]:
    if not summary["complete"]:
        yield f"The run is incomplete: {summary['samples']} of {summary['planned_samples']} samples were taken."
    if summary["invalid"]:
        first = summary["invalid"][0]
        yield (
            f"{counted(summary['invalid_count'], 'invalid sample')} counted for nothing; "
            f"the first is {first['prompt_id']!r} with {title(summary, first['method'])}: {first['reason']}."
        )
    repeats = summary["settings"]["repeats"] * summary["settings"]["sessions"]
    if repeats < 3:
        yield f"{counted(repeats, 'repeat')} may not show how the machine scatters; take at least 3."
    if summary["settings"]["sessions"] == 2:
        yield "Two sessions can't tell how sessions differ, so the intervals are rough; take one, or at least 3."


def _about_checks(run: RunData) -> Iterator[str]:
    """Agreement, quality and acceptance are those of the answers that are there."""
    planned, found = len(tasks_of(run.prompts)) * len(run.labels), len(run.checks.ids)
    if found < planned:
        yield f"The check pass is incomplete: {found} of {counted(planned, 'answer')} were looked at."


def _about_repeatability(summary: dict[str, Any], run: RunData) -> Iterator[str]:
    """Whether the timed answers are those that were checked, and whether plain decoding is as fast as itself."""
    other = int((~run.frame.same).sum())
    if other:
        found = counted(other, "timed answer")
        yield f"{found} of {summary['samples']} differ from those of the check pass, so the models don't repeat."
    floor = summary["overall"].get(FLOOR)
    if BASELINE not in summary["overall"] or len(summary["overall"]) == 1:
        return
    if floor is None:
        yield f"No noise floor was measured; with {FLOOR} among the methods, plain decoding is compared with itself."
    elif floor["verdict"] in ("faster", "slower"):
        value, low, high = (floor[key] for key in ("speedup", "speedup_low", "speedup_high"))
        yield (
            f"Plain decoding against itself gives {value:.3f} [{low:.3f}–{high:.3f}], and not 1; "
            "differences of that size mean nothing here."
        )


def _about_drift(summary: dict[str, Any]) -> Iterator[str]:
    """What all prompts of a repeat have in common is in no interval."""
    overall = summary["overall"]
    base = overall.get(BASELINE)
    if base is not None and base["drift"] is not None:
        rate, found = base["tokens_per_second"], base["drift"]
        slow, fast = rate * exp(-found["high"]), rate * exp(-found["low"])
        yield (
            f"The machine drifted: by repeat AS decoded at {slow:,.0f} to {fast:,.0f} tokens/s, more than the interval "
            "of tokens/s holds; speed-ups are paired and hardly feel it, but measure again on a quiet machine."
        )
    for name, figures in overall.items():
        if figures["speedup_drift"] is not None:
            yield (
                f"{title(summary, name)}: its speed-up changed between repeats by more than chance, so its interval is "
                "too narrow; take more sessions."
            )


def _about_methods(summary: dict[str, Any]) -> Iterator[str]:
    for name, figures in summary["overall"].items():
        if name == BASELINE or not figures["samples"]:
            continue
        said = title(summary, name)
        if figures["unpaired"]:
            found = counted(figures["unpaired"], "sample")
            yield f"{found} of AS or {said} without a partner left out of its speed-up."
        if lossless(summary, name) and figures["agreement"] is not None and figures["agreement"] < 1:
            share = floor(1000 * figures["agreement"]) / 10  # never up to all of them
            yield f"{said} should give the tokens of AS, and does on {share:.1f}% of the prompts' turns only."
    for group in _by_method(summary):
        if not lossless(summary, group[0]):
            yield f"{_said(summary, group)} is lossy: {_quality_beside(summary, group)}."
        yield from _about_speedups(summary, group)


def _by_method(summary: dict[str, Any]) -> list[list[str]]:
    """The measured cells of each method but plain decoding, by label."""
    groups: dict[str, list[str]] = {}
    for name, figures in summary["overall"].items():
        if name not in (BASELINE, FLOOR) and figures["samples"]:
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


def _about_speedups(summary: dict[str, Any], labels: list[str]) -> Iterator[str]:
    spans = {
        label: (figures["speedup_low"], figures["speedup_high"])
        for label in labels
        if (figures := summary["overall"][label])["speedup_low"] is not None
    }
    noise = [label for label, (low, high) in spans.items() if low <= 1 <= high]
    if noise:
        low, high = spans[noise[0]]
        held = f"the interval {low:.2f}–{high:.2f} holds 1" if len(noise) == 1 else "their intervals hold 1"
        yield f"{_listed(summary, noise)}: the difference from AS is noise, {held}."
    wide = [label for label, (low, high) in spans.items() if log(high / low) / 2 > log1p(WIDE)]
    if wide:
        what = "the interval of its speed-up is" if len(wide) == 1 else "the intervals of their speed-ups are"
        yield f"{_listed(summary, wide)}: {what} wider than ±{WIDE:.0%}; {_cure(summary, wide)}."


def _cure(summary: dict[str, Any], labels: list[str]) -> str:
    """How many repeats more, in each session, would make speed-ups sure to 1 %."""
    needs = [summary["overall"][label]["repeats_for_1_percent"] for label in labels]
    repeats, sessions = summary["settings"]["repeats"], summary["settings"]["sessions"]
    if None in needs and repeats == 1:
        return "more prompts would narrow it, and a single repeat can't tell whether more repeats would"
    if None in needs:
        others = "prompts" if sessions == 1 else "prompts or sessions"
        return f"more {others} would narrow it, more repeats alone may not give ±1 %"
    more = max(needs) - repeats
    each = " a session" if sessions > 1 else ""
    return f"about {counted(max(more, 1), 'more repeat')}{each} would give ±1 %"


def _listed(summary: dict[str, Any], labels: list[str]) -> str:
    """A few cells by their titles, many by their number."""
    if len(labels) <= 3:
        return ", ".join(title(summary, label) for label in labels)
    return f"{len(labels)} cells of {_said(summary, labels)}"


def _about_machine(summary: dict[str, Any]) -> Iterator[str]:
    environment, overall = summary["environment"], summary["overall"]
    base = overall.get(BASELINE) or {}
    low, high = base.get("tokens_per_second_low"), base.get("tokens_per_second_high")
    if low and log(high / low) / 2 > log1p(UNSTEADY):
        yield (
            f"The tokens/s of AS lie anywhere from {low:,.0f} to {high:,.0f}: some samples took many times as long as "
            "others. Plain ratios of rates suffer from that; the speed-ups, paired by prompt, hardly do."
        )
    far = sum(figures["far_outliers"] for figures in overall.values())
    if far:
        said = counted(far, "far outlier")
        yield f"{said} (beyond 3 interquartile ranges) among {summary['samples']} samples; none is dropped."
    load, cores = (environment.get("load_average") or [0.0])[0], environment.get("cores") or 1
    if load > 0.5 * cores:
        yield f"The machine was busy when the run began: load {load:.1f} on {cores} cores."
    if not environment.get("bandwidth"):
        yield "The speed of memory is unknown, so the rates were not held against it."
