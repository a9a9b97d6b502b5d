"""What became of a run's prompts, in sentences: said before the run, and again by its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def counted(count: int, thing: str) -> str:
    """A number of things in words, such as ``3 repeats``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def prompt_notes(environment: Mapping[str, Any]) -> list[str]:
    """A sentence for each of: prompts left out, prompts cut, bad lines passed over, drafts that prompts outgrow."""
    notes: list[str] = []
    refused, cut = environment.get("refused") or [], environment.get("truncated") or []
    skipped, kept = environment.get("skipped_lines") or [], environment.get("prompts") or 0
    if refused:
        first = refused[0]
        why = f"of {first['tokens']} tokens where {first['limit']} have room" if first["tokens"] else "empty"
        notes.append(
            f"{len(refused)} of {counted(len(refused) + kept, 'prompt')} left out; "
            f"the first is {first['id']!r}, turn {first['turn'] + 1}, {why}."
        )
    if cut:
        most = max(item["cut"] for item in cut)
        notes.append(f"{counted(len(cut), 'prompt')} cut at the front to fit the context, by {most} tokens at most.")
    if skipped:
        notes.append(f"{counted(len(skipped), 'bad line')} of the data passed over; the first: {skipped[0]}.")
    for name, facts in (environment.get("outgrown") or {}).items():
        notes.append(
            f"{facts['prompts']} of {counted(kept, 'prompt')} outgrow the context of {facts['context']} of the draft "
            f"{name}; speculation pauses there."
        )
    return notes
