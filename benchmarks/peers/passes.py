"""`python -m benchmarks.peers.passes`: what a pass over 1, 5 and 8 tokens costs, side by side.

Each turn fills a new context and then feeds passes of all widths in shuffled order, so that the context's middle has
the tokens asked for and nothing need be taken back. A pass over 5 that costs as one over 1 is what speculation lives
on; the weights' bytes by the time of a pass over 1 is how much of the memory's speed is reached.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click
import msgspec
import numpy as np

from benchmarks.peers import table
from benchmarks.peers.__main__ import STORE, describe, names
from benchmarks.peers.cases import DTYPES, MODELS, Case, make_case
from benchmarks.peers.rows import PEERS, missing
from benchmarks.peers.turns import PeerProcess, Refused
from benchmarks.speed.baseline import machine_name
from draftwise.analysis.bootstrap import Estimate, Resampling
from draftwise.errors import DraftwiseError

WIDTHS = (1, 5, 8)
CYCLES = 3
"""Passes of each width in a turn."""
IDS = 2000
"""Ids of the made contexts, below every vocabulary's size."""


class PassTimes(NamedTuple):
    """A peer's passes in one case: the median nanoseconds of each turn by width, or why there are none."""

    peer: str
    turns: list[dict[int, float]]
    facts: dict[str, Any]
    unable: str | None = None


def time_case(case: Case, peers: Sequence[str], context: int, turns: int, seed: int) -> list[PassTimes]:
    """Let the peers take turns."""
    found, processes = _start(case, peers)
    rng = random.Random(seed)
    grown = CYCLES * sum(WIDTHS)
    try:
        for turn in range(1 + turns):
            order = list(processes)
            rng.shuffle(order)
            prompt = [rng.randrange(4, IDS) for _ in range(context - grown // 2)]
            for peer in order:
                asked = {"prompt": prompt, "widths": WIDTHS, "cycles": CYCLES, "seed": rng.randrange(1 << 30)}
                taken = processes[peer].ask("time_passes", **asked)["taken"]
                if turn:  # the first one warms up
                    found[peer].turns.append({width: median(t for w, t in taken if w == width) for width in WIDTHS})
    finally:
        for process in processes.values():
            process.close()
    return list(found.values())


def _start(case: Case, peers: Sequence[str]) -> tuple[dict[str, PassTimes], dict[str, PeerProcess]]:
    """What is known of each peer, and the processes of those that can."""
    found: dict[str, PassTimes] = {}
    processes: dict[str, PeerProcess] = {}
    for peer in peers:
        reason = missing(peer)
        if reason is None:
            process = PeerProcess(peer, case.threads)
            try:
                found[peer] = PassTimes(peer, [], process.load_passes(case)["facts"])
                processes[peer] = process
                continue
            except Refused as refused:
                reason = str(refused)
                process.close()
        found[peer] = PassTimes(peer, [], {}, reason)
    return found, processes


def to_one(times: PassTimes, width: int, seed: int) -> Estimate:
    """A pass over ``width`` tokens by one over 1, with its interval over turns."""
    logs = np.log([turn[width] / turn[1] for turn in times.turns])[:, None, None]
    return Resampling(logs.shape, seed).geometric_mean(logs)


def markdown(case: Case, found: Sequence[PassTimes], context: int, seed: int) -> str:
    """A case's table."""
    memory = next((times.facts for times in found if "bandwidth" in times.facts), None)
    head = f"## {case.model}, {case.dtype}\n\n{MODELS[case.model].about}; {context} tokens of context\n"
    if memory:
        size, speed = memory["bytes_per_pass"], memory["bandwidth"]
        head += f"\n{size / 1e6:.1f} MB of weights a pass at {speed / 1e9:.1f} GB/s read: {size / speed * 1e3:.2f} ms\n"
    wider = WIDTHS[1:]
    names = ["decoder", "1 token, ms", "share of bandwidth", *(f"{width} tokens, ms" for width in wider)]
    names += [f"{width} to 1" for width in wider]
    rows = [_line(times, memory, len(names), seed) for times in found]
    return "\n".join([head, f"| {' | '.join(names)} |", "|---" * len(names) + "|", *rows, ""])


def _line(times: PassTimes, memory: dict[str, Any] | None, columns: int, seed: int) -> str:
    if times.unable is not None:
        return f"| {times.peer} | no: {times.unable} " + "| " * (columns - 2) + "|"
    taken = {width: median(turn[width] for turn in times.turns) for width in WIDTHS}
    share = memory["bytes_per_pass"] / memory["bandwidth"] / (taken[1] / 1e9) if memory else None
    cells = [times.peer, f"{taken[1] / 1e6:.2f}", "" if share is None else f"{share:.0%}"]
    cells += [f"{taken[width] / 1e6:.2f}" for width in WIDTHS[1:]]
    cells += [table.ratio(to_one(times, width, seed)) for width in WIDTHS[1:]]
    return f"| {' | '.join(cells)} |"


@click.command()
@click.option("--models", default="builtin,opt-125m", show_default=True, help=f"Among {', '.join(MODELS)}.")
@click.option("--dtypes", default="float32,bfloat16", show_default=True, help=f"Among {', '.join(DTYPES)}.")
@click.option("--peers", default=",".join(PEERS), show_default=True, help="Which to run; the absent are named.")
@click.option("--threads", default=2, show_default=True, help="Threads of every peer.")
@click.option("--context", default=150, show_default=True, help="Tokens before a pass, on average.")
@click.option("--turns", default=15, show_default=True, help=f"Of each peer, with {CYCLES} passes of each width.")
@click.option("--seed", default=0, show_default=True, help="Of orders, contexts and the intervals' draws.")
@click.option("--store", default=STORE, type=click.Path(path_type=Path), show_default=True, help="Converted models.")
@click.option("--output", default=table.RESULTS, type=click.Path(path_type=Path), help="Where the results go.")
def command(
    models: str, dtypes: str, peers: str, threads: int, context: int, turns: int, seed: int, store: Path, output: Path
) -> None:
    """Time passes of draftwise and its peers side by side on this CPU and write one table."""
    chosen = names(peers, tuple(PEERS), "peer")
    environment = describe("benchmarks.peers.passes", threads, seed)
    texts, stored = [table.top(environment, "Passes")], []
    for model in names(models, tuple(MODELS), "model"):
        for dtype in names(dtypes, DTYPES, "dtype"):
            case = make_case(model, dtype, threads, store)
            found = time_case(case, chosen, context, turns, seed)
            texts.append(markdown(case, found, context, seed))
            stored.append({"case": case, "context": context, "found": found})
            click.echo(texts[-1])
    path = output / f"passes-{machine_name()}.md"
    output.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(texts), "utf-8")
    path.with_suffix(".json").write_bytes(msgspec.json.encode({"environment": environment, "cases": stored}) + b"\n")
    click.echo(f"written to {path}")


if __name__ == "__main__":
    try:
        command()
    except DraftwiseError as error:
        sys.exit(f"error: {error}")
