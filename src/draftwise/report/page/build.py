"""Puts the page together: tables by Jinja, figures as JSON, style and scripts inline.

The page's own policy forbids every request and every script but its own, which it knows by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from draftwise.bench.files import write_whole
from draftwise.bench.store import PAGE
from draftwise.report.page import facts, headline, tables
from draftwise.report.page.cells import CellView, cell_views
from draftwise.report.page.escape import json_block, visible
from draftwise.report.page.payload import payload

if TYPE_CHECKING:
    from draftwise.analysis.run import RunData

HERE = Path(__file__).parent
STYLES = ("tokens", "layout", "parts", "answers", "print")
LIBRARIES = ("d3.min", "plot.umd.min")
SCRIPTS = ("text", "data", "figure", "speed", "acceptance", "time", "samples", "browser", "filters", "main")
FONTS = (
    (
        "Source Sans 3",
        "source-sans-3-latin-wght-normal",
        "U+0000-00FF,U+0131,U+0152-0153,U+02C6,U+02DA,U+02DC,U+2000-206F,U+20AC,U+2122,U+2191-2193,U+2212,U+2215",
    ),
    ("Source Sans 3", "source-sans-3-greek-wght-normal", "U+0370-03FF"),
    ("Source Serif 4", "source-serif-4-latin-wght-normal", "U+0000-00FF,U+2000-206F,U+2191,U+2193,U+2212"),
)

LONG_TITLE = 22
"""Where a cell's title has more characters than this, charts stand one below the other."""


def build_page(run: RunData, summary: dict[str, Any]) -> str:
    """The whole page of a run as HTML that needs nothing beside itself.

    Its size is bounded for any run: samples are thinned, and the answers shown share a budget; the page says what it
    leaves out. The checks are streamed.
    """
    cells = cell_views(summary)
    scripts = [*(_read("vendor", f"{name}.js") for name in LIBRARIES), _own_script()]
    results = tables.parts(summary, cells, tables.result_entries)
    template = _templates().get_template("page.html")
    page = template.render(
        **_words(summary, cells),
        results=results,
        result_heads=tables.RESULT_HEADS,
        acceptance=tables.parts(summary, cells, tables.acceptance_entries, lambda own: own.get("acceptance")),
        acceptance_heads=tables.ACCEPTANCE_HEADS,
        times=tables.parts(summary, cells, tables.time_entries, lambda own: own.get("time")),
        time_heads=tables.TIME_HEADS,
        policy=_policy(scripts),
        style=Markup(_style()),
        scripts=[Markup(script) for script in scripts],
        data=Markup(json_block(payload(run, summary, cells))),
    )
    return str(page)


def write_page(directory: str | Path, run: RunData, summary: dict[str, Any]) -> Path:
    """Write the page into a directory, whole or not at all, and give its path.

    Raises:
        DraftwiseError: it can't be written; an old page stands as it was.
    """
    path = Path(directory) / PAGE
    write_whole(path, build_page(run, summary))
    return path


def _words(summary: dict[str, Any], cells: list[CellView]) -> dict[str, Any]:
    """What the template prints beside tables."""
    environment = summary["environment"]
    return {
        "summary": summary,
        "cells": cells,
        "columns": "columns" if max((len(cell.title) for cell in cells), default=0) <= LONG_TITLE else "rows",
        "drafting": [cell for cell in cells if (summary["overall"].get(cell.label) or {}).get("acceptance")],
        "compared": any((own or {}).get("speedup") is not None for own in summary["overall"].values()),
        "title": headline.title(summary, cells),
        "byline": headline.byline(summary),
        "cards": headline.cards(summary, cells),
        "explanations": _explanations(summary, cells),
        "groups": facts.environment_groups(summary),
        "methods": facts.methods(environment),
        "hashes": facts.hashes(environment),
    }


def _explanations(summary: dict[str, Any], cells: list[CellView]) -> list[tuple[str, int, list[tuple[int, str]]]]:
    """The sentences on expected and measured speed: a part's name and number, and each cell's sentence."""
    said = summary.get("explanations") or {}
    parts = [
        ("All subtasks", said.get("overall") or {}),
        *((name, said.get(name) or {}) for name in summary["subtasks"]),
    ]
    found = [
        (name, place, [(number, own[cell.label]) for number, cell in enumerate(cells) if own.get(cell.label)])
        for place, (name, own) in enumerate(parts)
    ]
    return [part for part in found if part[2]]


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )


@cache
def _own_script() -> str:
    """The page's scripts as one, in a scope of their own."""
    parts = "\n".join(_read("script", f"{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


@cache
def _style() -> str:
    return "\n".join([*_fonts(), *(_read("style", f"{name}.css") for name in STYLES)])


def _fonts() -> Iterable[str]:
    for family, name, reach in FONTS:
        data = base64.b64encode((HERE / "vendor" / f"{name}.woff2").read_bytes()).decode()
        yield (
            f'@font-face{{font-family:"{family}";font-weight:200 900;font-display:swap;unicode-range:{reach};'
            f'src:url(data:font/woff2;base64,{data}) format("woff2")}}'
        )


def _policy(scripts: list[str]) -> str:
    """The page's content security policy: no request at all, and no script but these."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _read(folder: str, name: str) -> str:
    return (HERE / folder / name).read_text(encoding="utf-8")
