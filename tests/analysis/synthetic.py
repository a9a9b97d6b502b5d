"""Records with known speeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from draftwise.bench import BenchSettings
from draftwise.bench.records import Record, RoundCounts
from draftwise.bench.settings import Axis
from draftwise.options import DecodingOptions
from draftwise.tasks import Prompt


def cell(method: str, title: str) -> dict[str, Any]:
    """What an environment says of a cell."""
    return {"method": method, "title": title, "lossless": method != "bild"}


ENVIRONMENT: dict[str, Any] = {
    "cores": 4,
    "load_average": [0.1, 0.1, 0.1],
    "bandwidth": 30e9,
    "bytes_per_pass": 30_000_000,
    "methods": {"as": cell("as", "AS"), "sps": cell("sps", "SPS"), "bild": cell("bild", "BiLD")},
}
MS = 1_000_000


def record(
    prompt: str = "qa-0",
    method: str = "as",
    *,
    turn: int = 0,
    repeat: int = 0,
    order: int = 0,
    decode_ms: float = 100.0,
    prefill_ms: float = 10.0,
    tokens: Sequence[int] = tuple(range(20)),
    width: int | None = None,
    subtask: str = "qa",
    text: str = " right",
) -> Record:
    """A sample whose passes emit ``width`` tokens each; all but one of a pass were drafted and accepted."""
    width = width or (1 if method == "as" else 2)
    count = len(tokens)
    sizes = [min(width, count - start) for start in range(0, count, width)]
    decode, prefill = int(decode_ms * MS), int(prefill_ms * MS)
    return Record(
        prompt_id=prompt,
        subtask=subtask,
        turn=turn,
        method=method,
        repeat=repeat,
        order=order,
        seed=0,
        prompt_tokens=9,
        new_tokens=tuple(tokens),
        rounds=tuple(RoundCounts(width - 1, size - 1, size) for size in sizes),
        finish_reason="length",
        text=text,
        prefill_ns=prefill,
        ttft_ns=prefill + decode // max(1, len(sizes)),
        decode_ns=decode,
        total_ns=prefill + decode,
    )


def settings(
    methods: tuple[str, ...] = ("as", "sps"), repeats: int = 3, sweep: tuple[Axis, ...] = (), **decoding: Any
) -> BenchSettings:
    return BenchSettings(methods=methods, repeats=repeats, sweep=sweep, decoding=DecodingOptions(**decoding))


def questions(count: int, subtask: str = "qa") -> list[Prompt]:
    return [Prompt(f"{subtask}-{n}", subtask, ("Where?",), ("right",), (("right",),)) for n in range(count)]


def timed(speeds: dict[str, float], prompts: int, repeats: int, seed: int, noise: float = 0.02) -> list[Record]:
    """Samples whose times scatter between prompts (by 0.3 in the log, all methods alike) and repeats (by ``noise``).

    A method's own ratio to plain decoding scatters between prompts by 0.1.
    """
    rng = np.random.default_rng(seed)
    records: list[Record] = []
    for prompt in range(prompts):
        base = 100 * np.exp(rng.normal(0, 0.3))
        own = {method: 1.0 if method == "as" else float(np.exp(rng.normal(0, 0.1))) for method in speeds}
        for repeat in range(repeats):
            for method, speed in speeds.items():
                time = base / speed * own[method] * np.exp(rng.normal(0, noise))
                name = f"qa-{prompt}"
                records.append(record(name, method, repeat=repeat, order=len(records), decode_ms=time))
    return records
