"""The top of the page: what the run found, in a title, a line of facts and one figure for each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from draftwise.report.page import words
from draftwise.report.page.cells import CellView, shown_first
from draftwise.report.page.tables import VERDICTS

Facts = tuple[tuple[str, str], ...]
IN_TITLE = 3


@dataclass(frozen=True, slots=True)
class Card:
    """One cell's figure.

    Attributes:
        cell: whose.
        figure: the speed-up, or the rate where there is nothing to compare with.
        interval: its 95 % interval.
        verdict: in words, with its sign; empty for the baseline.
        facts: what must stand beside it, a name and a value each.
    """

    cell: CellView
    figure: str
    interval: str
    verdict: str
    facts: Facts


def cards(summary: dict[str, Any], cells: Sequence[CellView]) -> list[Card]:
    """The headline's cells: what was found first, then what it is held against."""
    chosen = shown_first(summary, list(cells))
    baseline = [cell for cell in cells if cell.baseline and cell not in chosen]
    return [_card(summary, cell) for cell in sorted((*chosen, *baseline), key=lambda cell: (cell.baseline, cell.floor))]


def _card(summary: dict[str, Any], cell: CellView) -> Card:
    figures = summary["overall"].get(cell.label) or {}
    speed, tokens = figures.get("speedup"), words.rate(figures.get("tokens_per_second"))
    spread = words.rate_span(figures, "tokens_per_second")
    if cell.baseline or speed is None:
        unit = " tokens/s" if figures.get("tokens_per_second") is not None else ""
        return Card(
            cell, tokens + unit, spread, "the baseline" if cell.baseline else "", _facts(summary, cell, figures)
        )
    verdict = str(figures.get("verdict") or "")
    signed = f"{VERDICTS.get(verdict, '')} {verdict}".strip()
    facts = (("tokens/s", f"{tokens} ({spread})" if spread else tokens), *_facts(summary, cell, figures))
    return Card(cell, words.times(speed), words.span(figures, "speedup"), signed, facts)


def _facts(summary: dict[str, Any], cell: CellView, figures: dict[str, Any]) -> Facts:
    """What a speed must not be shown without: the quality of a lossy cell, the agreement of a lossless one."""
    found: list[tuple[str, str]] = []
    if cell.baseline:
        found.append(("of the memory's bandwidth", words.percent(figures.get("bandwidth_share"))))
    elif not cell.lossless:
        other = (summary["overall"].get("as") or {}).get("quality")
        against = f", AS {words.fixed(other, 3)}" if other is not None else ""
        found.append(("quality", f"{words.fixed(figures.get('quality'), 3)}{against}"))
    if not cell.baseline:
        same = figures.get("agreement")
        found.append(("same text as AS", words.percent(same, 0 if same in (0, 1) else 1)))
    if figures.get("acceptance"):
        found.append(("tokens a pass", words.fixed(figures.get("acceptance_length"))))
    return tuple((name, value) for name, value in found if value != words.NOTHING)


def title(summary: dict[str, Any], cells: Sequence[CellView]) -> str:
    """The finding, as the page's title."""
    overall = summary["overall"]
    if not any((overall.get(cell.label) or {}).get("samples") for cell in cells):
        return "No sample was taken"
    drafting = [cell for cell in cells if not cell.floor and not cell.baseline]
    chosen = [cell for cell in shown_first(summary, list(cells)) if cell in drafting][:IN_TITLE]
    said = _findings([(cell.title, overall.get(cell.label) or {}) for cell in chosen])
    if said and len(drafting) > len(chosen):
        first = "Best" if (summary.get("best") or {}).get("overall") else f"{len(chosen)}"
        return f"{first} of {len(drafting)} cells: {said}"
    return said or _rates([(cell.title, overall.get(cell.label) or {}) for cell in cells if not cell.floor])


def _findings(cells: list[tuple[str, dict[str, Any]]]) -> str:
    """What the intervals allow to say: SPS decodes at 1.36× and BiLD at 1.62× the speed of plain decoding."""
    clear = [(name, own) for name, own in cells if own.get("verdict") in ("faster", "slower")]
    noise = [name for name, own in cells if own.get("verdict") == "no difference shown"]
    said = [
        f"{name} {'at' if place else 'decodes at'} {words.times(own['speedup'])}"
        for place, (name, own) in enumerate(clear)
    ]
    found = [f"{words.listed(said)} the speed of plain decoding"] if said else []
    if noise:
        found.append(f"{words.listed(noise)} {'shows' if len(noise) == 1 else 'show'} no difference")
    return "; ".join(found)


def _rates(cells: list[tuple[str, dict[str, Any]]]) -> str:
    known = [
        f"{name} decodes {words.rate(own['tokens_per_second'])} tokens/s"
        for name, own in cells
        if own.get("tokens_per_second") is not None
    ]
    return words.listed(known[:IN_TITLE]) or "Nothing that can be compared was measured"


def byline(summary: dict[str, Any]) -> list[str]:
    """Models, size of the run, machine and date, each a short text."""
    environment, settings = summary["environment"], summary["settings"]
    models = environment.get("models") or {}
    target = (models.get("target") or {}).get("name") or settings.get("target")
    drafts = [str(draft.get("name")) for draft in models.get("drafts") or ()]
    gpu = environment.get("gpu") or {}
    prompts, sessions = environment.get("prompts"), settings.get("sessions") or 1
    size = [
        words.counted(prompts, "prompt") if prompts is not None else "",
        words.counted(settings.get("repeats") or 0, "repeat"),
        words.counted(sessions, "session"),
        words.counted(summary["samples"], "sample"),
    ]
    found = [
        f"target {target}" + (f", draft {words.listed(drafts)}" if drafts else ""),
        " · ".join(text for text in size if text),
        str(gpu.get("name") or environment.get("cpu") or ""),
        str(environment.get("time") or "")[:10],
    ]
    return [text for text in found if text]
