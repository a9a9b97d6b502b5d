"""A peer's own process: `python -m benchmarks.peers.worker PEER`; requests come in as lines of JSON, answers go out.

It works only while it is asked. What libraries print goes to the error stream, so that answers stand alone.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from time import perf_counter_ns
from typing import Any, TextIO

from benchmarks.peers.cases import Case
from benchmarks.peers.rows import PEERS, versions
from benchmarks.peers.runners import Decode, Passes, Unable
from draftwise.bench.collector import quiet_collector

Answer = dict[str, Any]


class Worker:
    """A peer with one case loaded at a time."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.runner = import_module(f"benchmarks.peers.runners.{PEERS[peer].module}")
        self.modes: dict[str, Decode] = {}
        self.passes: Passes | None = None

    def load(self, case: dict[str, Any]) -> Answer:
        """Load a pair; gives the ways to decode, why the others can't, the set-up and the versions."""
        loaded = self.runner.load(Case(**case))
        self.modes = loaded.modes
        facts = {"versions": versions(self.peer), **loaded.facts}
        return {"modes": list(self.modes), "unable": loaded.unable, "facts": facts}

    def decode(self, mode: str, prompt: list[int], tokens: int) -> Answer:
        """One turn: a token to wake the threads, then one token and ``tokens`` of them, timed."""
        with quiet_collector():
            self.modes[mode](prompt, 1)
            first_ns, _ = timed(lambda: self.modes[mode](prompt, 1))
            all_ns, ids = timed(lambda: self.modes[mode](prompt, tokens))
        return {"first_ns": first_ns, "all_ns": all_ns, "ids": [int(token) for token in ids]}

    def load_passes(self, case: dict[str, Any]) -> Answer:
        """Load a target alone."""
        self.passes = self.runner.passes(Case(**case))
        return {"facts": self.passes.facts}

    def time_passes(self, prompt: list[int], widths: list[int], cycles: int, seed: int) -> Answer:
        """Time passes of some widths in shuffled order behind a prompt, which is filled in anew each time.

        Each cycle has every width once, so the context grows by the same tokens for every peer.
        """
        assert self.passes is not None
        order = widths * cycles
        random.Random(seed).shuffle(order)
        taken: list[tuple[int, int]] = []
        with quiet_collector():
            self.passes.fill(prompt)
            for width in order:
                spent, _ = timed(partial(self.passes.feed, prompt[:width]))
                taken.append((width, spent))
        return {"taken": taken}


def timed(work: Callable[[], Any]) -> tuple[int, Any]:
    """The nanoseconds that some work took, and what it gave."""
    began = perf_counter_ns()
    result = work()
    return perf_counter_ns() - began, result


def answer(worker: Worker, request: dict[str, Any]) -> Answer:
    """What a worker says to a request; a failure is an answer, too."""
    operation = request.pop("operation")
    try:
        found: Answer = getattr(worker, operation)(**request)
    except Unable as error:
        return {"unable": str(error)}
    except Exception as error:  # whatever a peer's library raises is its state, and stands in the table
        return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    return {"found": found}


def serve(peer: str, requests: TextIO, answers: TextIO) -> None:
    """Answer until the requests end."""
    worker = Worker(peer)
    for line in requests:
        answers.write(json.dumps(answer(worker, json.loads(line))) + "\n")
        answers.flush()


def main(arguments: Sequence[str]) -> None:
    """Keep the output stream for answers and start."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(arguments[0], sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1:])
