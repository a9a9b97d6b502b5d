"""The results as Markdown, and as one JSON file with every turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.peers.cases import MODELS
from benchmarks.peers.figures import RowFigures, figures
from benchmarks.peers.measure import Measured
from benchmarks.peers.rows import BASELINE, Row
from benchmarks.speed.baseline import machine_name
from draftwise.analysis.bootstrap import Estimate

RESULTS = Path(__file__).parent / "results"
HEADER = (
    "| decoder | ms a token | first token, ms | whole answer, ms a token | × transformers' generate | draftwise is × "
    "| same ids |\n"
    "|---|---|---|---|---|---|---|\n"
)
LEGEND = f"""\
*ms a token*: median over turns of (time of n tokens − time of one) / (n − 1), both of whole calls from outside, so
that prefill is apart in the same way for all. *first token*: median time of a call for one token. *whole answer*: the
time of n tokens / n. *×*: tokens a second after the first, by those of "{BASELINE}" on the same prompt in
the same round, as a geometric mean with its 95 % interval over prompts and repeats. *draftwise is ×*: draftwise's row
of the same kind (plain, draft model, prompt lookup) by this row. *same ids*: prompts with exactly the ids of
draftwise's plain decoding in the same type; else where the first other token stands.
"""


def markdown(found: Sequence[Measured], rows: Sequence[Row], environment: Mapping[str, Any]) -> str:
    """The whole report."""
    seed = environment["seed"]
    return "\n".join([top(environment, "Peers"), *(_section(one, rows, seed) for one in found), LEGEND])


def top(environment: Mapping[str, Any], title: str) -> str:
    """The heading and where, when and how it was measured."""
    machine = environment["machine"]
    revision = machine["revision"] or {}
    changed = " with changes" if revision.get("dirty") else ""
    cores, memory = machine["cores"], machine["memory_bytes"] / 2**30
    return (
        f"# {title} on {machine['cpu']}\n\n{cores} cores, {memory:.0f} GiB; {environment['threads']} threads each; "
        f"{environment['time']}; draftwise at {revision.get('commit', 'no known commit')[:12]}{changed}; "
        f"seed {environment['seed']}; `{environment['command']}`\n"
    )


def _section(measured: Measured, rows: Sequence[Row], seed: int) -> str:
    case = measured.case
    asked = [measured.questions[place] for place in sorted({sample.prompt for sample in measured.samples})]
    prompts = [len(one.prompt) for one in asked]
    answers = [len(one.answer) for one in asked]
    head = (
        f"## {case.model}, {case.dtype}\n\n{MODELS[case.model].about}; {len(prompts)} prompts of {span(prompts)} "
        f"tokens, answers of {span(answers)}\n"
    )
    lines = {one.row.label: _line(one) for one in figures(measured, rows, seed)}
    reasons = {label: f"| {label} | no: {reason} | | | | | |" for label, reason in measured.unable.items()}
    table = HEADER + "\n".join((lines | reasons)[row.label] for row in rows if row.label in lines | reasons)
    facts = "\n".join(f"- {peer}: {_facts(found)}" for peer, found in measured.facts.items())
    idle = ", ".join(f"{peer} {share:.1%}" for peer, share in measured.idle.items())
    return f"{head}\n{table}\n\n{facts}\n- share of a core used by each while others worked: {idle}\n"


def span(sizes: Sequence[int]) -> str:
    """The least and the largest."""
    return f"{min(sizes, default=0)} to {max(sizes, default=0)}"


def _line(one: RowFigures) -> str:
    same = f"{one.equal}/{one.prompts}" + (f", other from token {one.differs}" if one.differs else "")
    cells = (
        one.row.label,
        f"{one.token_ms:.2f}",
        f"{one.first_ms:.1f}",
        f"{one.whole_ms:.2f}",
        "1" if one.row.label == BASELINE else ratio(one.against_baseline),
        ratio(one.own_against_it),
        same,
    )
    return f"| {' | '.join(cells)} |"


def ratio(found: Estimate | None) -> str:
    """A ratio and its interval; nothing where there is none."""
    if found is None or found.value is None:
        return ""
    interval = f" [{found.low:.2f}, {found.high:.2f}]" if found.low is not None and found.high is not None else ""
    return f"{found.value:.2f}{interval}"


def _facts(found: Mapping[str, Any]) -> str:
    parts = []
    for name, value in found.items():
        inner = ", ".join(f"{key} {text}" for key, text in value.items()) if isinstance(value, dict) else str(value)
        parts.append(inner if name == "versions" else f"{name}: {inner}")
    return "; ".join(parts)


def write(found: Sequence[Measured], rows: Sequence[Row], environment: Mapping[str, Any], directory: Path) -> Path:
    """Write both files, named after the machine; gives the Markdown's path."""
    place = directory / machine_name()
    directory.mkdir(parents=True, exist_ok=True)
    cases = [
        {
            "measured": one,
            "figures": {line.row.label: line for line in figures(one, rows, environment["seed"])},
        }
        for one in found
    ]
    place.with_suffix(".json").write_bytes(msgspec.json.encode({"environment": environment, "cases": cases}) + b"\n")
    place.with_suffix(".md").write_text(markdown(found, rows, environment), "utf-8")
    return place.with_suffix(".md")
