"""Whether two runs are of one kind: which settings differ, and which facts of machine, models and data.

A resumed run must have both alike. Runs that are compared may have other settings, for that is what a comparison is
about, but their facts must be the same for a difference in speed to mean anything. A fact that either run doesn't give
(an older version, a run cut short) is no difference: nothing is known of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

from draftwise.bench.settings import BenchSettings, to_value
from draftwise.options import DecodingOptions

HARDWARE = ("cpu", "cpu_capability", "cores", "threads")
GPU_FACTS = ("name", "power.limit")
MODEL_FACTS = {
    "implementation": "implementation",
    "backend": "backend",
    "exact": "exactness",
    "instructions": "set of instructions",
    "dtype": "dtype",
    "device": "device",
}
"""What lines call the facts of how a model runs, by their keys in a record."""

MEMORY_TOLERANCE = 0.05
"""A share of the machine's memory; what firmware and kernel keep for themselves changes from start to start."""
BANDWIDTH_TOLERANCE = 0.10
"""A share of the measured read bandwidth."""

ARCHITECTURES = re.compile(r"x86_64|AMD64|aarch64|arm64|armv\w+|ppc64le|riscv64|s390x|i[36]86")


class Where(NamedTuple):
    """What a line calls the two sides."""

    there: str = "there"
    here: str = "here"


WHERE = Where()

Record = Mapping[str, Any]


def setting_differences(there: Record, here: Record, where: Where = WHERE) -> list[str]:
    """What differs between two records of settings (``BenchSettings.to_record``), a line each.

    An option with several values counts as all of them. A setting that a record lacks has its default. The output's
    directory is no difference.

    Args:
        there: the one record.
        here: the other.
        where: what the lines call the two.
    """
    old, new = _flat(there), _flat(here)
    names = [name for name in dict.fromkeys((*old, *new)) if name != "output"]
    return [line for name in names for line in _difference(name, old.get(name), new.get(name), where)]


def fact_differences(there: Record, here: Record, where: Where = WHERE) -> dict[str, list[str]]:
    """What differs between the environments of two runs: lines for "hardware", "models" and "data".

    A kind without a difference is left out. Names of models and their directories may differ, as long as the files are
    the same. Drafts are held against each other cell by cell, so that a run with more drafts is no other run.

    Args:
        there: the one run's environment.
        here: the other's.
        where: what the lines call the two.
    """
    found = {
        "hardware": list(_hardware(there, here, where)),
        "models": list(_models(there, here, where)),
        "data": list(_data(there, here, where)),
    }
    return {kind: lines for kind, lines in found.items() if lines}


def software_differences(there: Record, here: Record, where: Where = WHERE) -> list[str]:
    """What else may tell on the speed: the revision, versions, the GPU's driver, the measured speed of memory."""
    old, new = _section(there, "versions"), _section(here, "versions")
    lines = [line for name in {**old, **new} for line in _known(name, name, old, new, where)]
    lines += _difference("the code's revision", _revision(there), _revision(here), where)
    lines += _known("the platform", "platform", there, here, where)
    lines += _known("the GPU's driver", "driver_version", _section(there, "gpu"), _section(here, "gpu"), where)
    return lines + list(_bandwidth(there, here, where))


def _difference(name: str, there: Any, here: Any, where: Where) -> Iterator[str]:
    if there != here:
        yield f"{name} is {_said(there)} {where.there} and {_said(here)} {where.here}"


def _known(name: str, key: str, there: Record, here: Record, where: Where) -> Iterator[str]:
    """The difference of a fact that both sides give."""
    if key in there and key in here:
        yield from _difference(name, there[key], here[key], where)


def _said(value: Any) -> str:
    """A value within a sentence, whatever signs are in it."""
    if value is None or value in ([], ""):
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if text.isprintable() else repr(text)


def _section(record: Record, *names: str) -> dict[str, Any]:
    """A table within a record; empty where there is none."""
    found: Any = record
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def _flat(record: Record) -> dict[str, Any]:
    """Settings by name, those of decoding among them; a swept one with all of its values."""
    own = {name: value for name, value in record.items() if name not in ("decoding", "sweep")}
    return {**_defaults(), **own, **_section(record, "decoding"), **_section(record, "sweep")}


def _defaults() -> dict[str, Any]:
    """The default of every setting, but for the suite's: that follows from other settings."""
    known = [item for kind in (BenchSettings, DecodingOptions) for item in fields(kind)]
    named = {item.name: to_value(item.default) for item in known if item.default is not MISSING}
    return {name: value for name, value in named.items() if name not in ("decoding", "sweep", "suite")}


def _hardware(there: Record, here: Record, where: Where) -> Iterator[str]:
    for name in HARDWARE:
        yield from _known(name, name, there, here, where)
    yield from _pinning(there, here, where)
    old, new = _architecture(there), _architecture(here)
    if old and new:
        yield from _difference("the architecture", old, new, where)
    yield from _memory(there, here, where)
    if "gpu" in there and "gpu" in here:
        yield from _gpu(_section(there, "gpu"), _section(here, "gpu"), where)


def _pinning(there: Record, here: Record, where: Where) -> Iterator[str]:
    """Whether threads were pinned; to which of the cores is no difference."""
    if "pinned" in there and "pinned" in here:
        yield from _difference("the pinning of threads", bool(there["pinned"]), bool(here["pinned"]), where)


def _architecture(environment: Record) -> str | None:
    found = ARCHITECTURES.search(str(environment.get("platform") or ""))
    return found[0] if found else None


def _memory(there: Record, here: Record, where: Where) -> Iterator[str]:
    old, new = _amount(there, "memory_bytes"), _amount(here, "memory_bytes")
    if _apart(old, new, MEMORY_TOLERANCE):
        yield from _difference("memory", f"{old / 2**30:.1f} GiB", f"{new / 2**30:.1f} GiB", where)


def _bandwidth(there: Record, here: Record, where: Where) -> Iterator[str]:
    """Only where the same amount was read: over a small buffer it is the speed of the caches."""
    old, new = _amount(there, "bandwidth"), _amount(here, "bandwidth")
    if there.get("bytes_per_pass") == here.get("bytes_per_pass") and _apart(old, new, BANDWIDTH_TOLERANCE):
        yield from _difference("the speed of memory", f"{old / 1e9:.1f} GB/s", f"{new / 1e9:.1f} GB/s", where)


def _amount(environment: Record, key: str) -> float:
    """A measured amount; 0 where it is unknown."""
    value = environment.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _apart(there: float, here: float, tolerance: float) -> bool:
    """Whether two amounts are known and differ by more than a share of the larger."""
    return min(there, here) > 0 and abs(there - here) > tolerance * max(there, here)


def _gpu(there: Record, here: Record, where: Where) -> Iterator[str]:
    if bool(there) != bool(here):
        yield from _difference("the GPU", there.get("name"), here.get("name"), where)
        return
    for key in GPU_FACTS:
        yield from _known(f"the GPU's {key.replace('.', ' ')}", key, there, here, where)


def _models(there: Record, here: Record, where: Where) -> Iterator[str]:
    yield from _files("the target", _section(there, "sha256", "target"), _section(here, "sha256", "target"), where)
    yield from _running("the target", _section(there, "models", "target"), _section(here, "models", "target"), where)
    hashes = _section(there, "sha256", "drafts"), _section(here, "sha256", "drafts")
    facts = _draft_facts(there), _draft_facts(here)
    for old, new in _paired_drafts(there, here):
        said = f"the draft {_said(old)}" if old == new else f"the draft ({_said(old)} or {_said(new)})"
        yield from _files(said, _section(hashes[0], old), _section(hashes[1], new), where)
        yield from _running(said, _section(facts[0], old), _section(facts[1], new), where)


def _paired_drafts(there: Record, here: Record) -> list[tuple[str, str]]:
    """The drafts of the cells that both runs have; where cells aren't told, the drafts in their order."""
    old, new = _section(there, "methods"), _section(here, "methods")
    if old and new:
        rows = [(_section(old, label).get("draft"), _section(new, label).get("draft")) for label in old if label in new]
        return list(dict.fromkeys((str(one), str(other)) for one, other in rows if one and other))
    names = [list(_section(side, "sha256", "drafts") or _draft_facts(side)) for side in (there, here)]
    return list(zip(*names, strict=False))


def _draft_facts(environment: Record) -> dict[str, Record]:
    """What is known of each draft, by name."""
    rows = _section(environment, "models").get("drafts")
    known = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    return {str(row.get("name")): row for row in known}


def _files(what: str, there: Record, here: Record, where: Where) -> Iterator[str]:
    """The files that differ, where both sides know theirs."""
    if not there or not here:
        return
    for name in dict.fromkeys((*there, *here)):
        old, new = _digest(there.get(name, "missing")), _digest(here.get(name, "missing"))
        if there.get(name) != here.get(name):
            yield f"{_said(name)} of {what} is {old} {where.there} and {new} {where.here} (SHA-256)"


def _running(what: str, there: Record, here: Record, where: Where) -> Iterator[str]:
    """How the model is run."""
    for key, name in MODEL_FACTS.items():
        yield from _known(f"the {name} of {what}", key, there, here, where)


def _data(there: Record, here: Record, where: Where) -> Iterator[str]:
    old, new = _section(there, "sha256").get("suite"), _section(here, "sha256").get("suite")
    for name, one, other in (
        ("the suite", old, new),
        ("the set of prompts", there.get("prompts_sha256"), here.get("prompts_sha256")),
    ):
        if one and other and one != other:
            yield f"{name} is {_digest(one)} {where.there} and {_digest(other)} {where.here} (SHA-256)"
    yield from _known("the use of a chat template", "chat_template", there, here, where)


def _digest(value: Any) -> str:
    """The beginning of a hash, enough to tell two apart."""
    return _said(str(value)[:12])


def _revision(environment: Record) -> str | None:
    found = _section(environment, "revision")
    commit = found.get("commit")
    return f"{str(commit)[:10]}{' with changes' if found.get('dirty') else ''}" if commit else None
