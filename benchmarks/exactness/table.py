"""The outcomes of a check as lines of text: a row for each draft and batch, a column for each gamma."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.exactness.check import Outcome, Way

NAMES = {"none": "as", "model": "sps, its draft", "guesses": "sps, guesses"}


def table_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The share of prompts with equal ids in percent, and the first difference of each way that has one."""
    gammas = sorted({outcome.way.gamma for outcome in outcomes} - {0})
    heads = ["as" if gamma == 0 else f"γ {gamma}" for gamma in (0, *gammas)]
    yield f"{'equal ids, %':<24}" + "".join(f"{head:>7}" for head in heads)
    found = {outcome.way: outcome for outcome in outcomes}
    for batch in sorted({outcome.way.batch for outcome in outcomes}):
        for draft in NAMES:
            row = [found.get(Way(draft, batch, gamma)) for gamma in (0, *gammas)]
            if any(row):
                yield f"{f'{NAMES[draft]}, batch {batch}':<24}" + "".join(map(_share, row))
    yield from _accepted(outcomes)
    for outcome in outcomes:
        if outcome.first is not None:
            yield _first(outcome)


def _share(outcome: Outcome | None) -> str:
    """Cut and not rounded: a single difference never shows as 100."""
    return f"{'':>7}" if outcome is None else f"{outcome.equal * 1000 // outcome.prompts / 10:>7.1f}"


def _accepted(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """How much the check asked of the drafts: what always or never stands tries little."""
    for draft in NAMES:
        drafted = sum(outcome.drafted for outcome in outcomes if outcome.way.draft == draft)
        accepted = sum(outcome.accepted for outcome in outcomes if outcome.way.draft == draft)
        if drafted:
            yield f"  {NAMES[draft]}: {accepted} of {drafted} drafted tokens accepted"
        elif any(outcome.way.draft == draft for outcome in outcomes) and draft != "none":
            yield f"  {NAMES[draft]}: nothing was drafted, so nothing is shown"


def _first(outcome: Outcome) -> str:
    way, first = outcome.way, outcome.first
    assert first is not None
    gamma = f" γ {way.gamma}" if way.gamma else ""
    return (
        f"  {NAMES[way.draft]}{gamma}, batch {way.batch}: {outcome.prompts - outcome.equal} differ, first "
        f"{first.prompt} at token {first.place}: {first.plain} plainly, {first.other} here"
    )
