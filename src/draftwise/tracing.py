"""Where the time of a round goes: observers around the parts of the loop, which stays as it is.

An observer stands before and behind each part of a round: the drafter, the target, the verifier and the draft model.
At each border the devices are waited for, so the work of a GPU belongs to the part that asked for it. That takes the
host's lead over the GPU away: the times are shares of a round, and no speeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import torch
from torch import Tensor

from draftwise.clock import synchronize
from draftwise.decoding.loop import Commit
from draftwise.decoding.types import Context, Draft, Drafter, Verdict, Verifier
from draftwise.models.protocol import Cache, CausalLM

if TYPE_CHECKING:
    from draftwise.generation import Generation

Part = Literal["draft", "verify", "judge", "engine", "wait"]


class Span(NamedTuple):
    """One target pass: what was guessed, and the nanoseconds of its parts, which sum to the round's.

    ``verify_ns`` is the target's pass, ``judge_ns`` the verifier's verdict, and ``engine_ns`` all else in the round.
    ``wait_ns`` is the time in which the deciding thread had no processor, and is in none of the others; waiting for a
    device is not part of it.
    """

    draft: tuple[int, ...]
    draft_passes: int
    draft_ns: int
    verify_ns: int
    judge_ns: int
    engine_ns: int
    wait_ns: int


@dataclass(frozen=True, slots=True)
class Trace:
    """An answer, and where the time of each of its rounds went."""

    generation: Generation
    rounds: tuple[Span, ...]


class Tracer:
    """Observes one generation of one row, and keeps a ``Span`` for each of its rounds."""

    def __init__(self, devices: tuple[torch.device, ...]) -> None:
        """Observe a generation whose models lie on ``devices``."""
        self.spans: list[Span] = []
        self._devices = devices
        self._guessed: Draft | None = None
        self._passes = 0
        self._spent: dict[Part, int] = {}
        self._wall = self._thread = 0

    def models(self, target: CausalLM, draft: CausalLM | None) -> tuple[CausalLM, CausalLM | None]:
        """The target, its passes timed as verifying, and the draft model, its passes counted."""
        counted = cast(CausalLM, _DraftModel(draft, self)) if draft is not None else None
        return cast(CausalLM, _Target(target, self)), counted

    def policies(self, drafter: Drafter, verifier: Verifier) -> tuple[Drafter, Verifier]:
        """The drafter, timed and its guesses kept, and the verifier, timed."""
        return _Drafter(drafter, self), _Verifier(verifier, self)

    def rounds(self, rounds: Iterator[list[Commit | None]]) -> Iterator[list[Commit | None]]:
        """The rounds as they come, a span kept of each."""
        while True:
            self._begin()
            commits = next(rounds, None)
            if commits is None:
                return
            self.charge("engine")
            self._end()
            yield commits

    def charge(self, part: Part) -> None:
        """Give the time since the last border to a part, but for what the thread spent without a processor."""
        # The thread's clock is read before the wall's at the start and after it here, so reading them is no waiting.
        wall = perf_counter_ns()
        waited = max(0, (wall - self._wall) - (thread_time_ns() - self._thread))
        synchronize(self._devices)  # the thread may sleep in here, and that is the part's own time
        begun = self._wall
        self._thread, self._wall = thread_time_ns(), perf_counter_ns()
        self._spent[part] += self._wall - begun - waited
        self._spent["wait"] += waited

    def guessed(self, draft: Draft) -> None:
        """Keep what the drafter guessed in this round."""
        self._guessed = draft

    def passed(self) -> None:
        """Count a pass of the draft model."""
        self._passes += 1

    def _begin(self) -> None:
        self._spent = dict.fromkeys(("draft", "verify", "judge", "engine", "wait"), 0)
        self._guessed, self._passes = None, 0
        synchronize(self._devices)
        self._thread, self._wall = thread_time_ns(), perf_counter_ns()

    def _end(self) -> None:
        assert self._guessed is not None, "a round begins with the drafter"
        draft = tuple(self._guessed.tokens[0, : int(self._guessed.lengths[0])].tolist())
        self.spans.append(Span(draft, self._passes, *self._spent.values()))


class _Target:
    """Any kind of model; what isn't observed is the model's own."""

    def __init__(self, model: CausalLM, tracer: Tracer) -> None:
        self._model = model
        self._tracer = tracer

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def forward(self, tokens: Tensor, starts: Tensor, cache: Cache, *, span: int, keep: int) -> Tensor:
        self._tracer.charge("engine")
        logits = self._model.forward(tokens, starts, cache, span=span, keep=keep)
        self._tracer.charge("verify")
        return logits


class _DraftModel(_Target):
    def forward(self, tokens: Tensor, starts: Tensor, cache: Cache, *, span: int, keep: int) -> Tensor:
        self._tracer.passed()
        return self._model.forward(tokens, starts, cache, span=span, keep=keep)


@dataclass(frozen=True, slots=True)
class _Drafter:
    inner: Drafter
    tracer: Tracer

    @property
    def most(self) -> int:
        return self.inner.most

    def prefill(self, context: Context) -> None:
        self.inner.prefill(context)

    def propose(self, context: Context, room: Tensor) -> Draft:
        self.tracer.charge("engine")
        draft = self.inner.propose(context, room)
        self.tracer.charge("draft")
        self.tracer.guessed(draft)
        return draft


@dataclass(frozen=True, slots=True)
class _Verifier:
    inner: Verifier
    tracer: Tracer

    def judge(self, context: Context, draft: Draft, logits: Tensor) -> Verdict:
        self.tracer.charge("engine")
        verdict = self.inner.judge(context, draft, logits)
        self.tracer.charge("judge")
        return verdict
