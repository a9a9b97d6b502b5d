"""A run as GitHub Markdown: what was found, the tables overall and by subtask, what explains them, and where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from draftwise.analysis.names import BASELINE, FLOOR, counted, lossless, title
from draftwise.report.console import LEGEND
from draftwise.report.github import bullets, escaped, heading, table
from draftwise.report.numbers import NOTHING, change_interval, compared, interval, number, rate_interval, share
from draftwise.report.shares import PARTS

Figures = dict[str, Any]
Cell = Callable[[Figures], str]

MEASURED = (
    "Speed-ups are geometric means over prompts of the paired ratio of time per token; their 95 % intervals come from "
    "a bootstrap over prompts, then sessions, then repeats. The ratio of totals is the plain ratio of the two rates. "
    "Shares of time and acceptance come from a check pass of its own, which is not timed as a speed. AS* is plain "
    "decoding measured a second time: the noise floor."
)
IN_TITLE = 6
"""The most cells that the findings name."""


class Section(NamedTuple):
    """A table with a row for each part and cell.

    Attributes:
        name: its heading.
        columns: head and cell of each column behind the part and the cell's name.
        speaks: whether a cell has anything to say here; others have no row.
    """

    name: str
    columns: tuple[tuple[str, Cell], ...]
    speaks: Cell | Callable[[Figures], Any] = bool


def markdown(summary: dict[str, Any], label: str = "") -> str:
    """The report of a run; a label tells it from the others of an experiment."""
    lines = [*heading(1, f"draftwise: {label}" if label else "draftwise"), *bullets(findings(summary))]
    if summary["warnings"]:
        lines += [*heading(2, "To beware of"), *bullets(summary["warnings"])]
    for section in SECTIONS:
        lines += _section(section, summary)
    lines += _passes(summary["costs"])
    lines += [*heading(2, "Why"), *bullets(_explanations(summary))]
    lines += [*heading(2, "How it was measured"), escaped(f"{LEGEND} {MEASURED}"), ""]
    lines += _facts("Settings", summary["settings"]) + _facts("Environment", summary["environment"])
    return "\n".join(lines)


def findings(summary: dict[str, Any]) -> Iterator[str]:
    """A sentence for each compared cell; of a sweep, for the best."""
    overall = summary["overall"]
    compared = [label for label in overall if label not in (BASELINE, FLOOR)]
    if len(compared) > IN_TITLE:
        best = summary["best"].get("overall", {}).values()
        compared = [label for label in compared if label in best]
    prompts = summary["environment"].get("prompts")
    yield f"{summary['samples']} of {summary['planned_samples']} samples on {counted(prompts, 'prompt')}"
    for label in compared:
        figures = overall[label]
        if figures["speedup"] is None:
            yield f"{title(summary, label)}: {rate_interval(figures)} tokens/s"
        else:
            said = f"{title(summary, label)}: {interval(figures, 'speedup', 2)} times as fast as plain decoding"
            yield f"{said}, {figures['verdict'] or 'no interval'}{_price(summary, label)}"


def _price(summary: dict[str, Any], label: str) -> str:
    """What stands beside the speed of a lossy cell."""
    if lossless(summary, label):
        return ""
    figures = summary["overall"][label]
    if figures["quality"] is None:
        return "; lossy, and nothing is known of its quality"
    changed = f" ({change_interval(figures, 'quality_change', 3)})" if figures["quality_change"] is not None else ""
    return f"; lossy, quality {interval(figures, 'quality', 3)}{changed}"


def _section(section: Section, summary: dict[str, Any]) -> list[str]:
    parts = {"overall": summary["overall"], **{f"subtask {name}": own for name, own in summary["subtasks"].items()}}
    rows = [
        (part, title(summary, label), *(cell(compared(label, figures)) for _, cell in section.columns))
        for part, cells in parts.items()
        for label, figures in cells.items()
        if section.speaks(figures)
    ]
    heads = ("part", "method", *(head for head, _ in section.columns))
    return [*heading(2, section.name), *table(heads, rows, texts=2)] if rows else []


def _spread(key: str, digits: int = 2) -> Cell:
    return lambda figures: interval(figures, key, digits)


def _count(key: str) -> Cell:
    return lambda figures: NOTHING if figures[key] is None else str(figures[key])


def _of(table_name: str, key: str, digits: int = 2) -> Cell:
    """A number of one of the tables within the figures."""
    return lambda figures: number((figures[table_name] or {}).get(key), digits)


def _share_of(table_name: str, key: str) -> Cell:
    return lambda figures: share((figures[table_name] or {}).get(key))


def _list_of(table_name: str, key: str, form: Callable[[Any], str]) -> Cell:
    """The values of a list, from its first place on."""
    return lambda figures: " ".join(form(value) for value in (figures[table_name] or {}).get(key) or ()) or NOTHING


def _milliseconds(value: float | None, scale: float) -> str:
    return NOTHING if value is None else f"{value * scale:.2f}"


def _differences(figures: Figures) -> str:
    found = figures["divergence"]
    return NOTHING if not found else f"{found['median']:g} ({found['earliest']})"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.0f}"


def _drafted(figures: Figures) -> Any:
    return figures["acceptance"]


SECTIONS = (
    Section(
        "Speed",
        (
            ("tokens/s [95 %]", rate_interval),
            ("speed-up [95 %]", _spread("speedup")),
            ("verdict", lambda figures: figures["verdict"] or NOTHING),
            ("with prefill [95 %]", _spread("end_to_end_speedup")),
            ("ratio of totals [95 %]", _spread("speedup_total")),
            ("end-to-end tokens/s [95 %]", lambda figures: rate_interval(figures, "end_to_end_tokens_per_second")),
            ("TTFT ms", lambda figures: _milliseconds(figures["ttft_seconds"], 1e3)),
            ("of memory's speed", lambda figures: share(figures["bandwidth_share"])),
            ("repeats for ±1 %", _count("repeats_for_1_percent")),
        ),
    ),
    Section(
        "Answers",
        (
            ("agree with AS", lambda figures: share(figures["agreement"])),
            ("first difference: median (earliest)", _differences),
            ("quality [95 %]", _spread("quality", 3)),
            ("change [95 %]", lambda figures: change_interval(figures, "quality_change", 3)),
        ),
    ),
    Section(
        "Acceptance",
        (
            ("length by pass", lambda figures: number(figures["acceptance_length"], 2)),
            ("length by request", lambda figures: number(figures["acceptance_length_by_request"], 2)),
            ("rate", lambda figures: share(figures["acceptance_rate"])),
            ("drafted a pass", _of("acceptance", "drafted_per_round")),
            ("wasted a token", _of("acceptance", "wasted_per_token")),
            ("written by the draft", _share_of("acceptance", "small_model_share")),
            ("fallbacks a token", _of("acceptance", "fallbacks_per_token")),
            ("rollbacks a token", _of("acceptance", "rollbacks_per_token")),
        ),
        _drafted,
    ),
    Section(
        "Acceptance by position",
        (
            ("of all rounds, %", _list_of("acceptance", "unconditional", _percent)),
            ("given the one before, %", _list_of("acceptance", "conditional", _percent)),
            ("rounds with 0, 1, 2 … accepted", _list_of("acceptance", "histogram", str)),
        ),
        _drafted,
    ),
    Section(
        "Where the time went",
        (
            *((part, _share_of("time", part)) for part in PARTS),
            ("round ms", lambda figures: _milliseconds(figures["time"].get("round_ns"), 1e-6)),
        ),
        lambda figures: figures["time"],
    ),
    Section(
        "Costs, in passes of the target over one token",
        (
            ("draft pass c", _of("cost", "c", 3)),
            ("pass over k tokens v(k)", _list_of("cost", "v", lambda value: number(value, 2))),
            ("round", _of("cost", "round_cost")),
            ("tokens to break even", _of("cost", "break_even")),
            ("expected speed-up", _of("cost", "expected_speedup")),
            ("by the formula", _of("cost", "formula_speedup")),
            ("measured by expected", _of("cost", "gap")),
        ),
        lambda figures: figures["cost"],
    ),
    Section(
        "Samples",
        (
            ("taken", _count("samples")),
            ("invalid", _count("invalid")),
            ("unpaired", _count("unpaired")),
            ("outliers", _count("outliers")),
            ("far outliers", _count("far_outliers")),
            ("new tokens", _count("new_tokens")),
            ("target passes", _count("target_passes")),
            ("decode seconds", lambda figures: number(figures["seconds"], 2)),
        ),
    ),
)


def _passes(costs: Mapping[str, Any] | None) -> list[str]:
    """What a pass takes, as it was measured."""
    if not costs:
        return []
    models = {"target": costs["target"], **{f"draft {name}": own for name, own in costs["drafts"].items()}}
    rows = [(name, width, f"{ns / 1e6:.3f}") for name, own in models.items() for width, ns in own.items()]
    heads = ("model", "tokens a pass", f"ms at {costs['context']} tokens of context")
    return [*heading(3, "Time of a pass"), *table(heads, rows, texts=1)]


def _explanations(summary: dict[str, Any]) -> Iterator[str]:
    for part, sentences in summary["explanations"].items():
        yield from (f"{part}: {sentence}" for sentence in sentences.values())


def _facts(name: str, record: Mapping[str, Any]) -> list[str]:
    rows = [(".".join(way), str(value)) for way, value in _flat(record)]
    return [*heading(2, name), *table(("fact", "value"), rows, texts=2)]


def _flat(record: Mapping[str, Any], way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every fact with the way to it; lists of plain values are one fact."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, (*way, str(name)))
        elif isinstance(value, list | tuple):
            yield from _listed(value, (*way, str(name)))
        else:
            yield (*way, str(name)), NOTHING if value is None else value


def _listed(values: Iterable[Any], way: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    plain = [value for value in values if not isinstance(value, Mapping | list | tuple)]
    nested = {str(place): value for place, value in enumerate(values) if isinstance(value, Mapping | list | tuple)}
    if plain or not nested:
        yield way, ", ".join(map(str, plain)) or NOTHING
    yield from _flat(nested, way)
