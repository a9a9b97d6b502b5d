"""The figures that a run is made for, each beside what is wanted of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Found = Mapping[str, Mapping[str, Any]]
"""What the parts gave, by their names; those that gave nothing are left out."""


class Goal(NamedTuple):
    """A figure, in words, what is wanted of it, and whether it is so; None where nothing is wanted."""

    what: str
    measured: str
    wanted: str = ""
    holds: bool | None = None


def goals(found: Found) -> list[Goal]:
    """The figures of the parts that gave any."""
    return [goal for part, say in _SAYERS.items() if part in found for goal in say(found[part])]


def _memory(found: Mapping[str, Any]) -> Iterator[Goal]:
    yield Goal("copying memory, read and written", f"{found['copy_bytes_per_second'] / 1e9:,.1f} GB/s")
    yield Goal("AS, ms a token", f"{found['ns_per_token'] / 1e6:.3f}")
    yield _share("AS reads its weights at, of the copy bandwidth", found["share"], 0.8)


def _ids(found: Mapping[str, Any]) -> Iterator[Goal]:
    said = "" if found["exact"] else " (the backend doesn't say that it is exact)"
    equal = f"{found['equal']} of {found['answers']}"
    yield Goal(f"answers with plain decoding's ids{said}", equal, "all", found["equal"] == found["answers"])


def _peers(found: Mapping[str, Any]) -> Iterator[Goal]:
    speeds = {name: row["tokens_per_second"] for name, row in found["decoders"].items()}
    if {"draftwise as", "transformers generate"} <= speeds.keys():
        fast = speeds["draftwise as"] / speeds["transformers generate"]
        yield Goal("AS, as fast as transformers' generate", f"{fast:.2f} ×")
    if {"draftwise sps", "transformers assisted"} <= speeds.keys():
        fast = speeds["draftwise sps"] / speeds["transformers assisted"]
        yield Goal("SPS, as fast as transformers' assisted generation", f"{fast:.2f} ×", "≥ 3 ×", fast >= 3)


def _experiment(found: Mapping[str, Any]) -> Iterator[Goal]:
    for label, title, wanted in (("sps", "SPS", 0.9), ("bild", "BiLD", None)):
        row = found["methods"][label]
        if row["share"] is None:
            continue
        yield Goal(f"{title}, speed-up over AS", f"{row['speedup']:.2f} ×")
        yield _share(f"{title}, of the {row['expected_speedup']:.2f} × that its cost allows", row["share"], wanted)


def _share(what: str, share: float, wanted: float | None) -> Goal:
    if wanted is None:
        return Goal(what, f"{100 * share:.1f} %")
    return Goal(what, f"{100 * share:.1f} %", f"≥ {100 * wanted:.0f} %", share >= wanted)


_SAYERS: dict[str, Callable[[Mapping[str, Any]], Iterator[Goal]]] = {
    "memory": _memory,
    "ids": _ids,
    "peers": _peers,
    "experiment": _experiment,
}
