"""The environment of a run, as groups of facts for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from draftwise.report.backends import backend_words
from draftwise.report.page import words

Fact = tuple[str, str]
Group = tuple[str, list[Fact]]


def environment_groups(summary: dict[str, Any]) -> list[Group]:
    """Facts under headings, those that are unknown left out."""
    environment, settings = summary["environment"], summary["settings"]
    groups = (
        ("Models", _models(environment)),
        ("Decoding", _decoding(settings)),
        ("Prompts", _prompts(settings, environment)),
        ("Machine", _machine(environment)),
        ("State of the machine", _state(environment)),
        ("Code", _code(environment)),
    )
    found = [(name, [(key, value) for key, value in facts if value]) for name, facts in groups]
    return [(name, facts) for name, facts in found if facts]


def hashes(environment: Mapping[str, Any]) -> list[Fact]:
    """SHA-256 of every file that the run rests on."""
    known = environment.get("sha256") or {}
    found = [(f"target, {name}", str(value)) for name, value in (known.get("target") or {}).items()]
    for draft, files in (known.get("drafts") or {}).items():
        found += [(f"draft {draft}, {name}", str(value)) for name, value in files.items()]
    found += [("suite", str(known["suite"]))] if known.get("suite") else []
    prompts = environment.get("prompts_sha256")
    return found + ([("prompts measured", str(prompts))] if prompts else [])


def methods(environment: Mapping[str, Any]) -> list[Fact]:
    """What each cell is: its options, its draft and where its method was published."""
    found = []
    for label, row in (environment.get("methods") or {}).items():
        options = [f"{name} {value}" for name, value in (row.get("options") or {}).items()]
        draft = [f"draft {row['draft']}"] if row.get("draft") else []
        kind = "lossless" if row.get("lossless", True) else "lossy"
        said = "; ".join([*([str(row["paper"])] if row.get("paper") else []), kind, *draft, *options])
        found.append((str(row.get("title", label)), said))
    return found


def _models(environment: Mapping[str, Any]) -> Iterator[Fact]:
    models = environment.get("models") or {}
    if target := models.get("target"):
        yield "target", _model(target, environment.get("bytes_per_pass"))
    sizes = environment.get("draft_bytes_per_pass") or {}
    for draft in models.get("drafts") or ():
        yield "draft", _model(draft, sizes.get(draft.get("name")))
    memory = environment.get("memory")
    yield "memory", memory if isinstance(memory, str) else ""


def _model(model: Mapping[str, Any], read: float | None) -> str:
    revision = f"@{model['revision']}" if model.get("revision") else ""
    facts = [f"{model.get('name')}{revision}", *(str(model[key]) for key in ("dtype", "device") if model.get(key))]
    if model.get("implementation"):
        facts.append(f"{model['implementation']} implementation")
    if backend := backend_words(model):
        facts.append(f"backend {backend}")
    if model.get("context"):
        facts.append(f"context {model['context']}")
    return ", ".join(facts + ([f"reads {words.size(read)} a pass"] if read else []))


def _decoding(settings: Mapping[str, Any]) -> Iterator[Fact]:
    swept = settings.get("sweep") or {}
    for name, value in (settings.get("decoding") or {}).items():
        values = swept.get(name) or (value if isinstance(value, list) else [value])
        yield name.replace("_", " "), ", ".join(str(item) for item in values)


def _prompts(settings: Mapping[str, Any], environment: Mapping[str, Any]) -> Iterator[Fact]:
    yield "suite", str(settings.get("suite") or "")
    yield "file", str(settings.get("data") or "")
    yield "measured", str(environment.get("prompts") or "")
    yield "left out", str(len(environment.get("refused") or ()) or "")
    yield "cut at the front", str(len(environment.get("truncated") or ()) or "")
    yield "chat template", "applied" if environment.get("chat_template") else "none"
    for name in ("repeats", "sessions", "warmups"):
        yield name, str(settings.get(name) or "")


def _machine(environment: Mapping[str, Any]) -> Iterator[Fact]:
    gpu = environment.get("gpu") or {}
    yield "GPU", ", ".join(str(value) for value in gpu.values())
    yield "CPU", str(environment.get("cpu") or "")
    yield "cores, threads", f"{environment.get('cores')}, {environment.get('threads')}"
    pinned = environment.get("pinned")
    yield "threads pinned", f"to cores {', '.join(map(str, pinned))}" if isinstance(pinned, list) else "no"
    memory = environment.get("memory_bytes")
    yield "memory", words.size(memory) if memory else ""
    yield "system", str(environment.get("platform") or "")


def _state(environment: Mapping[str, Any]) -> Iterator[Fact]:
    after = environment.get("after") or {}
    for name, key, say in (("load", "load_average", _load), ("read bandwidth", "bandwidth", _speed)):
        both = [say(facts[key]) for facts in (environment, after) if facts.get(key)]
        yield f"{name}, before and after", " → ".join(both)
    gpu, later = environment.get("gpu") or {}, after.get("gpu") or {}
    for key in later:
        if later[key] != gpu.get(key):
            yield f"{key}, before and after", f"{gpu.get(key)} → {later[key]}"


def _load(values: Any) -> str:
    return f"{values[0]:.2f}"


def _speed(value: float) -> str:
    return f"{value / 1e9:.1f}\u202fGB/s"


def _code(environment: Mapping[str, Any]) -> Iterator[Fact]:
    yield "command", str(environment.get("command") or "")
    yield "begun", str(environment.get("time") or "")
    revision = environment.get("revision") or {}
    dirty = " with uncommitted changes" if revision.get("dirty") else ""
    yield "commit", f"{revision['commit']}{dirty}" if revision.get("commit") else ""
    yield "versions", ", ".join(f"{name} {version}" for name, version in (environment.get("versions") or {}).items())
