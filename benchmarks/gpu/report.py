"""What a run found: one JSON file and a table for people, both written anew after every part."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.gpu.goals import goals
from benchmarks.gpu.parts import PARTS, Done
from benchmarks.gpu.scale import Scale
from draftwise.bench.files import to_json, write_whole
from draftwise.bench.fingerprint import machine_facts, machine_state

RECORD, TABLE = "gpu.json", "gpu.txt"
SCHEMA = 1


class Report:
    """A run's findings so far."""

    def __init__(self, scale: Scale, output: Path) -> None:
        """Look at the machine; the files come with the first part."""
        self._output = output
        self._head = {
            "schema": SCHEMA,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join(sys.argv),
            "scale": asdict(scale),
            **machine_facts(scale.device),
            **machine_state(scale.device),
        }
        self._parts: dict[str, Done] = {}
        self._running, self._began = "", perf_counter()

    def begin(self, name: str) -> None:
        """A part begins."""
        self._running, self._began = name, perf_counter()

    def add(self, part: Done) -> None:
        """A part is over."""
        self._parts[part.name] = part
        self.write()

    def stop(self, seconds: float) -> None:
        """The time of the whole run, so many seconds, is over in the midst of a part."""
        error = f"it was still at work when the {seconds:.0f} s of the whole run were over"
        self.add(Done(self._running, perf_counter() - self._began, {}, error))

    @property
    def holds(self) -> bool:
        """Whether every part ran without an error, and the ids are equal where the backend promises it."""
        ids = self._found().get("ids", {})
        broken = bool(ids) and ids["exact"] and not ids["holds"]
        return not broken and all(name in self._parts and self._parts[name].outcome != "failed" for name in PARTS)

    def write(self) -> None:
        """Write both files whole."""
        parts = {name: {"outcome": part.outcome, **part._asdict()} for name, part in self._parts.items()}
        figures = [goal._asdict() for goal in goals(self._found())]
        write_whole(self._output / RECORD, to_json({**self._head, "parts": parts, "goals": figures}))
        write_whole(self._output / TABLE, "\n".join([*self.lines(), ""]))

    def _found(self) -> dict[str, Mapping[str, Any]]:
        return {name: part.found for name, part in self._parts.items() if part.found}

    def lines(self) -> Iterator[str]:
        """The table."""
        found = self._found()
        yield from self._heading(found.get("models", {}).get("models", {}))
        yield from _rows("figure", ((one.what, one.measured, one.wanted, _verdict(one.holds)) for one in goals(found)))
        if "experiment" in found:
            yield from _subtasks(found["experiment"])
        if "peers" in found:
            yield from _decoders(found["peers"])
        if "ids" in found:
            yield from ("", *found["ids"]["table"])
        yield from _rows("part", ((name, *self._outcome(name)) for name in PARTS))

    def _heading(self, models: Mapping[str, Any]) -> Iterator[str]:
        head = self._head
        gpu, revision = head["gpu"] or {}, head["revision"] or {}
        versions = head["versions"]
        packages = [f"{name} {versions[name]}" for name in ("draftwise", "torch", "cuda") if name in versions]
        commit = f"commit {revision['commit'][:12]}{' with changes' * revision['dirty']}" if revision else "no checkout"
        if head["scale"]["device"] == "cpu":
            yield "Not a GPU: this shows that the benchmark runs, and no figure in it means anything.\n"
        yield f"{gpu.get('name') or head['cpu']}; {', '.join(packages)}; {commit}; {head['time']}"
        for role, model in models.items():
            backend = model["backend"]
            exact = "exact" if backend["exact"] else "not said to be exact"
            yield (
                f"{role} {model['name']}: {model['parameters']:,} parameters, {head['scale']['dtype']}, backend "
                f"{backend['name']} ({exact})" + "".join(f"; {reason}" for reason in backend["passed_over"])
            )

    def _outcome(self, name: str) -> tuple[str, str, str]:
        part = self._parts.get(name)
        if part is None:
            return "not run", "", ""
        return part.outcome, f"{part.seconds:.1f} s", part.error or part.found.get("cut", "")


def _subtasks(found: Mapping[str, Any]) -> Iterator[str]:
    """A row for each subtask: plain decoding's speed and the speed-ups over it."""
    rows = {**found["subtasks"], "overall": found["overall"]}
    labels = [label for label in found["overall"] if label != "as"]
    heads = ("as tokens/s", *(f"{label} ×" for label in labels))
    cells = (
        (name, _number(row["as"]["tokens_per_second"], 1), *(_number(row[label]["speedup"], 2) for label in labels))
        for name, row in rows.items()
    )
    yield from _rows("subtask", cells, heads)


def _decoders(found: Mapping[str, Any]) -> Iterator[str]:
    rows = found["decoders"]
    first = rows["draftwise as"]["tokens_per_second"]
    cells = (
        (
            name,
            _number(row["tokens_per_second"], 1),
            _number(row["tokens_per_second"] / first, 2),
            f"{row['same_ids']} of {row['compared']}",
        )
        for name, row in rows.items()
    )
    yield from _rows("decoder, whole calls", cells, ("tokens/s", "× draftwise as", "ids as draftwise as"))


def _rows(title: str, rows: Iterator[tuple[str, ...]], heads: tuple[str, ...] = ()) -> Iterator[str]:
    """Columns with their names, the first to the left, after an empty line."""
    table = [(title, *heads), *rows]
    widths = [max(len(row[place]) for row in table if place < len(row)) for place in range(max(map(len, table)))]
    yield ""
    for row in table:
        first, *others = (text.ljust(width) for text, width in zip(row, widths, strict=False))
        yield "  ".join([first, *others]).rstrip()


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _verdict(holds: bool | None) -> str:
    return "" if holds is None else "yes" if holds else "NO"
