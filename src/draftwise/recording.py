"""Rounds that a device replays from a recording, so that the host neither decides nor waits within one.

The first round of a new recording runs as it is, which also compiles whatever is compiled at first use. Then one round
is recorded: drafting, the target's pass, the verdict and the commit, over tensors that keep their shapes and addresses.
From then on the host only starts rounds, and reads each one while the next is under way. Recordings are kept for later
answers that fit into them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from draftwise.compiling import note_compilation
from draftwise.decoding.loop import Commit, Outcome, advance, check_numbers, read
from draftwise.decoding.types import Context, Drafter, Verifier
from draftwise.models.protocol import CausalLM
from draftwise.starting import prefill

MOST_KEPT = 12
"""Recordings that one engine keeps; each has a cache for the target and one for the draft."""

SMALLEST = 512
"""Positions of the smallest recording; larger ones double, so that few are made."""

FIGURES = len(Outcome._fields) - 1
"""The columns of one figure a row, which stand before the block."""

LEFT = Outcome._fields.index("left")


class Step(NamedTuple):
    """What a round leaves: logits [B, K + 1, V], and its ``Outcome``'s columns side by side, [B, K + 6]."""

    logits: Tensor
    columns: Tensor


class Recorder(Protocol):
    """What records a device's work and replays it."""

    def record(self, step: Callable[[], Step]) -> Callable[[], Step]:
        """Make a function that does again what ``step`` does, and leaves its result in the same tensors every time."""

    def fetch(self, columns: Tensor) -> Callable[[], list[list[int]]]:
        """Begin to read columns as they now are; the function that comes back waits until they are there."""


class CudaRecorder:
    """Records CUDA graphs; results are copied into page-locked memory behind the round that makes them."""

    def record(self, step: Callable[[], Step]) -> Callable[[], Step]:
        """As ``Recorder.record``."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = step()
        note_compilation()

        def replay() -> Step:
            graph.replay()
            return result

        return replay

    def fetch(self, columns: Tensor) -> Callable[[], list[list[int]]]:
        """As ``Recorder.fetch``."""
        landed = torch.empty(columns.shape, dtype=columns.dtype, pin_memory=True)
        landed.copy_(columns, non_blocking=True)
        arrival = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrival.record()

        def wait() -> list[list[int]]:
            arrival.synchronize()
            rows: list[list[int]] = landed.tolist()
            return rows

        return wait


class Recording:
    """One kind of round over tensors of its own: rows, caches, drafter and all."""

    def __init__(
        self,
        recorder: Recorder,
        target: CausalLM,
        drafter: Drafter,
        verifier: Verifier,
        stops: Tensor,
        context: Context,
    ) -> None:
        """Prepare to record; ``context`` is of the shapes to come and has a ``width``."""
        assert context.width is not None, "only rounds of one shape can be recorded"
        self.width: int = context.width
        self.places = context.ids.shape[1]
        self._recorder = recorder
        self._target, self._drafter, self._verifier, self._stops = target, drafter, verifier, stops
        self._context = context
        self._cache = target.new_cache(*context.ids.shape)
        self._replay: Callable[[], Step] | None = None
        self._last: Step | None = None

    def begin(self, rows: Context) -> None:
        """Take in new rows and fill the caches with their prompts."""
        mine = self._context
        mine.ids[:, : rows.ids.shape[1]].copy_(rows.ids)
        for old, new in ((mine.lengths, rows.lengths), (mine.left, rows.left), (mine.seeds, rows.seeds)):
            old.copy_(new)
        mine.chunk, mine.longest = rows.chunk, rows.longest
        prefill(self._target, mine, self._cache)
        self._drafter.prefill(mine)
        # Before the token of a row that has only one stands nothing, so the last two can't be fed.
        mine.fresh = bool((rows.lengths == 1).any())
        mine.longest = self.places - self.width

    def rounds(self, left: int) -> Iterator[list[Commit | None]]:
        """Decode until every row is done, as ``decoding.loop.decode``; ``left`` is the most tokens that a row may get.

        Each round is read behind the next one's start. Every row gets a token in every round, so where none may get
        more than one there is no next.
        """
        waiting = self._start()
        while left:
            ahead = self._start() if left > 1 else waiting
            rows = waiting()
            commits = read(list(zip(*((*row[:FIGURES], row[FIGURES:]) for row in rows), strict=True)))
            left = max(row[LEFT] for row in rows)
            if not left and self._last is not None:
                check_numbers(self._last.logits, self._target)
            yield commits
            waiting = ahead

    def _start(self) -> Callable[[], list[list[int]]]:
        """Start a round; the function that comes back waits for its columns."""
        if self._last is None or self._context.fresh:
            self._last = self._step()
        else:
            if self._replay is None:
                self._replay = self._recorder.record(self._step)
            self._last = self._replay()
        return self._recorder.fetch(self._last.columns)

    def _step(self) -> Step:
        context = self._context
        logits, outcome = advance(self._target, self._cache, self._drafter, self._verifier, context, self._stops)
        return Step(logits, torch.cat([column.view(context.ids.shape[0], -1) for column in outcome], 1))


class Recordings:
    """The recordings of one engine, by what makes their rounds differ."""

    def __init__(self, recorder: Recorder) -> None:
        """Record with ``recorder``."""
        self.recorder = recorder
        self._kept: dict[Hashable, Recording] = {}

    def find(self, kind: Hashable, places: int, width: int, make: Callable[[int], Recording]) -> Recording:
        """A recording of that kind for rows of so many places and drafts of up to ``width`` tokens.

        Args:
            kind: of rounds; whatever is the same in all rounds of a recording but the two that follow.
            places: of a row's buffer, at least.
            width: at least.
            make: a new recording, for a number of places; it takes the place of a smaller one of its kind.
        """
        recording = self._kept.pop(kind, None)
        if recording is None or recording.places < places or recording.width < width:
            del recording
            recording = make(max(SMALLEST, 1 << (places - 1).bit_length()))
        self._kept[kind] = recording
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return recording

    def drop(self) -> None:
        """Forget all recordings, and give back what they hold."""
        self._kept.clear()


def recordings_for(target: CausalLM, draft: CausalLM | None) -> Recordings | None:
    """Where an engine of these models keeps its recordings; None where its rounds can't be recorded.

    That takes one CUDA device and our own forward pass, which waits for nothing within a pass.
    """
    models = (target,) if draft is None else (target, draft)
    own = all(model.implementation == "own" and model.start_token_id is None for model in models)
    devices = {model.device for model in models}
    if not own or len(devices) > 1 or target.device.type != "cuda":
        return None
    return Recordings(CudaRecorder())
