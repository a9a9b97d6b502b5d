"""The table's rows: each peer, and each way it decodes. What one can't do stays in the table with its reason."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec
from typing import Literal, NamedTuple

Kind = Literal["plain", "draft model", "prompt lookup"]
BASELINE = "transformers: generate"


class Row(NamedTuple):
    """One way to decode: a peer's name, what the peer calls it, and which of draftwise's ways it stands against."""

    peer: str
    mode: str
    kind: Kind

    @property
    def label(self) -> str:
        """The row's name in tables and files."""
        return f"{self.peer}: {self.mode}"


class Peer(NamedTuple):
    """A row of ``PEERS``: the module of ``benchmarks.peers.runners`` that drives it and the packages that it needs."""

    module: str
    packages: dict[str, str]  # what is imported: what is installed
    modes: dict[str, Kind]


PEERS: dict[str, Peer] = {
    "draftwise": Peer(
        "own",
        {"draftwise": "draftwise"},
        {"plain": "plain", "speculative, 4 tokens": "draft model", "prompt lookup": "prompt lookup"},
    ),
    "transformers": Peer(
        "hugging_face",
        {"transformers": "transformers"},
        {
            "generate": "plain",
            "assisted, its defaults": "draft model",
            "assisted, 4 tokens": "draft model",
            "prompt lookup": "prompt lookup",
        },
    ),
    "OpenVINO GenAI": Peer(
        "openvino_genai",
        {
            "openvino_genai": "openvino-genai",
            "openvino": "openvino",
            "openvino_tokenizers": "openvino-tokenizers",
            "nncf": "nncf",
            "transformers": "transformers",
        },
        {"plain": "plain", "speculative, 4 tokens": "draft model", "prompt lookup": "prompt lookup"},
    ),
    "CTranslate2": Peer(
        "ctranslate",
        {"ctranslate2": "ctranslate2", "transformers": "transformers"},
        {"plain": "plain", "speculative": "draft model", "prompt lookup": "prompt lookup"},
    ),
}

ROWS = tuple(Row(name, mode, kind) for name, peer in PEERS.items() for mode, kind in peer.modes.items())
OWN: dict[Kind, str] = {row.kind: row.label for row in ROWS if row.peer == "draftwise"}
"""draftwise's row of each kind."""


def rows_of(peers: tuple[str, ...]) -> list[Row]:
    """The rows of some peers, in the table's order."""
    return [row for row in ROWS if row.peer in peers]


def missing(peer: str) -> str | None:
    """Why a peer can't run here at all: the packages that aren't installed."""
    absent = [package for module, package in PEERS[peer].packages.items() if find_spec(module) is None]
    return f"not installed: {', '.join(absent)} (benchmarks/peers/README.md has the pip command)" if absent else None


def versions(peer: str) -> dict[str, str]:
    """The versions of a peer's packages."""
    return {package: metadata.version(package) for package in PEERS[peer].packages.values()}
