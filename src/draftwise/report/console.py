"""Prints a run: what it ran on, the tables, what to beware of, and the result lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from draftwise.analysis.names import BASELINE, FLOOR, counted, lossless, title
from draftwise.bench.cells import SYMBOLS
from draftwise.report.backends import backends_words
from draftwise.report.best import BEST_LEGEND, best_table
from draftwise.report.lines import EXPLANATION, result_lines
from draftwise.report.numbers import NO_DIFFERENCE, SIGNS, SLOWER, change_interval
from draftwise.report.plain import printable
from draftwise.report.shares import SHARES_LEGEND, shares_table
from draftwise.report.subtasks import subtask_tables
from draftwise.report.table import Figures, cells_table

LEGEND = (
    "tokens/s: new tokens by decode time. speed-up: plain decoding's time per token by the method's, paired by prompt; "
    "total: the same with the prefill. acc. len: acceptance length, new tokens per target pass. agree: share of answers"
    " that equal those of AS. quality: score against the references, 0 to 1. Brackets: 95 % interval."
)


SIGNS_LEGEND = " ".join(f"{sign} {verdict}," for verdict, sign in SIGNS.items()).rstrip(",") + "."

FEW = 4
"""Of more cells than that, only those that gain nothing and the best ones are explained."""

MOST_SENTENCES = 8
"""So many sentences about subtasks are printed; the page has them all."""


def report_run(summary: dict[str, Any], console: Console, page: Path | None = None) -> None:
    """Print a run: environment, tables, what explains them, warnings, result lines, and where its page is."""
    console.print(environment_block(summary))
    for table in _tables(summary, console.width):
        console.print()
        console.print(table)
    console.print()
    console.print(Text(_legend(summary, console.width), style="dim"))
    _print_best(summary, console)
    console.print(_sentences(summary))
    console.print()
    console.print(Text(EXPLANATION, style="dim"))
    for line in result_lines(summary):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if page is not None:
        console.print()
        console.print(Text.assemble(("page  ", "bold"), str(page)), soft_wrap=True)


def _sentences(summary: dict[str, Any]) -> Table:
    """What explains the figures, and what to beware of, a sentence a row."""
    table = Table.grid(padding=(0, 1, 0, 0))
    for sentence in explanations(summary):
        table.add_row(Text("·", style="cyan"), Text(printable(sentence)))
    for note in summary["warnings"]:
        table.add_row(Text("!", style="bold yellow"), Text(printable(note)))
    return table


def _tables(summary: dict[str, Any], width: int) -> Iterator[Table]:
    yield cells_table(summary, "overall", summary["overall"], width, header=True)
    shares = shares_table(summary, width)
    if shares is not None:
        yield shares
    yield from subtask_tables(summary, width)


def _legend(summary: dict[str, Any], width: int) -> str:
    shares = f" {SHARES_LEGEND}" if shares_table(summary, width) is not None else ""
    return f"{LEGEND} {SIGNS_LEGEND}{shares}{_abbreviations(summary)}"


def _print_best(summary: dict[str, Any], console: Console) -> None:
    best = best_table(summary, console.width)
    if best is not None:
        console.print()
        console.print(best)
        console.print()
        console.print(Text(BEST_LEGEND, style="dim"))


def explanations(summary: dict[str, Any]) -> list[str]:
    """What explains the figures: overall for every cell, what lossy ones cost, and where a cell gains nothing."""
    said = summary["explanations"]
    overall = said.get("overall") or {}
    best = summary["best"].get("overall", {}).values()
    if len(overall) > FEW:
        overall = {name: overall[name] for name in overall if name in best or _doubtful(summary["overall"][name])}
    doubtful = [
        f"{name}: {sentence}"
        for name, cells in summary["subtasks"].items()
        for label, sentence in (said.get(name) or {}).items()
        if label != FLOOR and _doubtful(cells[label])
    ]
    rest = len(doubtful) - MOST_SENTENCES
    more = [f"The same of {rest} more; the page has them all."] if rest > 0 else []
    return [*overall.values(), *_changes(summary), *doubtful[:MOST_SENTENCES], *more]


def _doubtful(figures: Figures) -> bool:
    return figures["verdict"] in (SLOWER, NO_DIFFERENCE)


def _changes(summary: dict[str, Any]) -> Iterator[str]:
    """What lossy cells do to the quality, where it can be told and they do anything."""
    for label, figures in summary["overall"].items():
        spread = [figures[f"quality_change{end}"] for end in ("", "_low", "_high")]
        if not lossless(summary, label) and any(spread):
            yield f"{title(summary, label)} changes quality by {change_interval(figures, 'quality_change', 3)}."


def environment_block(summary: dict[str, Any]) -> Table:
    """Where and how the run took place, a line a fact."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(summary):
        table.add_row(name, Text(printable(value)))
    return table


def _facts(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    environment, settings = summary["environment"], summary["settings"]
    versions = environment.get("versions") or {}
    models = environment.get("models") or {}
    yield "models", _models(settings, models)
    if backends := backends_words(models):
        yield "backend", backends
    yield "decoding", _decoding(settings)
    template = ", as a conversation in the chat template's form" if environment.get("chat_template") else ""
    yield (
        "prompts",
        f"{environment.get('prompts')} of suite {settings['suite']}, {_repeats(settings)}, "
        f"{counted(summary['samples'], 'sample')}{template}",
    )
    yield "machine", _machine(settings, environment)
    if environment.get("bandwidth"):
        yield "memory", _memory(summary)
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items()) + _revision(environment)


def _repeats(settings: dict[str, Any]) -> str:
    sessions = settings.get("sessions", 1)
    each = f" in each of {sessions} sessions" if sessions > 1 else ""
    return f"{counted(settings['repeats'], 'repeat')}{each}"


def _models(settings: dict[str, Any], models: dict[str, Any]) -> str:
    """Target and drafts by name, with what is not as usual about the way they run."""
    target, drafts = models.get("target") or {}, models.get("drafts") or []
    usual = {"implementation": "own", "dtype": target.get("dtype"), "device": target.get("device")}
    small = ", ".join(_model(draft, usual) for draft in drafts) or "none"
    large = _model(target, usual)
    return f"target {large}, draft {small}, {settings['dtype']}"


def _model(model: dict[str, Any], usual: dict[str, Any]) -> str:
    revision = f"@{model['revision']}" if model.get("revision") else ""
    unusual = [str(model[key]) for key, value in usual.items() if key in model and model[key] != value]
    return f"{model.get('name')}{revision}" + (f" ({', '.join(unusual)})" if unusual else "")


def _decoding(settings: dict[str, Any]) -> str:
    values, sweep = settings["decoding"], settings.get("sweep") or {}

    def of(name: str) -> str:
        return "/".join(map(str, sweep.get(name) or [values[name]]))

    limit = counted(values["max_new_tokens"], "new token")
    text = f"temperature {values['temperature']:g}, {limit}, seed {values['seed']}"
    if "sps" in settings["methods"]:
        text += f"; SPS gamma {of('gamma')}"
    if "bild" in settings["methods"]:
        text += f"; BiLD fallback {of('fallback_threshold')}, rollback {of('rollback_threshold')}"
        text += f", at most {of('max_draft_tokens')} drafted"
    return text


def _abbreviations(summary: dict[str, Any]) -> str:
    """What the symbols in the names of a sweep's cells stand for."""
    titles = [row["title"] for row in (summary["environment"].get("methods") or {}).values()]
    used = [name for name, symbol in SYMBOLS.items() if any(f" {symbol}=" in title for title in titles)]
    said = [f"{SYMBOLS[name]}: {name.replace('_', ' ')}" for name in used]
    return " In the names: " + ", ".join(said) + "." if said else ""


def _machine(settings: dict[str, Any], environment: dict[str, Any]) -> str:
    gpu = environment.get("gpu")
    place = f"{gpu['name']}, " if gpu else ""
    load = (environment.get("load_average") or [0.0])[0]
    cores, threads = counted(environment.get("cores") or 1, "core"), counted(environment.get("threads") or 1, "thread")
    pinned = " on cores of their own" if environment.get("pinned") else ""
    return f"{place}{environment.get('cpu')}, {cores}, {threads}{pinned}, load {load:.1f}"


def _memory(summary: dict[str, Any]) -> str:
    environment = summary["environment"]
    after = environment.get("after") or {}
    speed = max(environment["bandwidth"], after.get("bandwidth") or 0.0) / 1e9
    text = f"reads {speed:.1f} GB/s over the target's {environment['bytes_per_pass'] / 1e6:.1f} MB a pass"
    share = summary["overall"].get(BASELINE, {}).get("bandwidth_share")
    return text if share is None else f"{text}; AS uses {share:.0%} of that"


def _revision(environment: dict[str, Any]) -> str:
    revision = environment.get("revision")
    if not revision:
        return ""
    return f", commit {revision['commit'][:10]}{' with changes' if revision['dirty'] else ''}"
