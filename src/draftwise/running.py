"""One call's way through the loop: how its rounds are set up, what runs them, and the time that they take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter_ns

import torch
from torch import Tensor

from draftwise.clock import settled_ns
from draftwise.decoding.loop import Commit, decode
from draftwise.decoding.types import Context, Drafter, Sampling, Verifier
from draftwise.fused import can_fuse, fused_rounds, run_fused
from draftwise.methods import Method, make_drafter
from draftwise.models.protocol import CausalLM
from draftwise.options import DecodingOptions
from draftwise.recording import Recording, Recordings
from draftwise.starting import prefill, start
from draftwise.tracing import Tracer

Rounds = Iterator[list[Commit | None]]


@dataclass(slots=True)
class Run:
    """The rounds of one call, and the nanoseconds that its parts took."""

    rounds: Rounds
    prefill_ns: int
    first_round_ns: int = 0
    decode_ns: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """What one call decodes, by which models and method.

    Attributes:
        rows: each row's prompt.
        seeds: each row's seed.
        method: a row of the table of methods.
        settings: that are checked already.
        ends: the ids that end a text.
        target: the model whose text it is.
        draft: the one that guesses, where there is one.
    """

    rows: Sequence[Sequence[int]]
    seeds: Sequence[int]
    method: Method
    settings: DecodingOptions
    ends: Sequence[int]
    target: CausalLM
    draft: CausalLM | None

    @property
    def models(self) -> tuple[CausalLM, ...]:
        """The target, and the draft where there is one."""
        return (self.target,) if self.draft is None else (self.target, self.draft)

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """Where the models lie, each device once."""
        return tuple(dict.fromkeys(model.device for model in self.models))

    def policies(self, draft: CausalLM | None) -> tuple[Drafter, Verifier, Tensor]:
        """A drafter over a model, a verifier, and the ids that end a text, [E]."""
        stops = torch.tensor(self.ends, dtype=torch.int64, device=self.target.device)
        return make_drafter(self.method, draft, self.settings, stops), self.method.verifier(self.settings), stops

    def context(self, most: int) -> Context:
        """The rows before the first round, for drafts of up to ``most`` tokens."""
        settings = self.settings
        return start(
            self.rows,
            self.seeds,
            Sampling(settings.temperature, settings.top_k, settings.top_p),
            max_new_tokens=settings.max_new_tokens,
            slack=self.width(most) + 1,
            chunk=settings.prefill_chunk,
            device=self.target.device,
            start_token_id=self.target.start_token_id,
        )

    def width(self, most: int) -> int:
        """The longest draft that there is a use for."""
        return min(most, self.settings.max_new_tokens - 1)


def begin(job: Job, recordings: Recordings | None = None, tracer: Tracer | None = None) -> Run:
    """Fill the caches and get the rounds ready.

    They are native calls where they can be, recorded ones where recordings are kept and nobody observes, else those of
    ``decode``.
    """
    if recordings is not None and tracer is None:
        return _timed(job, *_recorded(job, recordings))
    target, (drafter, verifier, stops) = job.target, job.policies(job.draft)
    fused = can_fuse(target, drafter, verifier, greedy=job.settings.temperature == 0)
    if tracer is not None and not fused:
        target, draft = tracer.models(job.target, job.draft)
        drafter, verifier, stops = job.policies(draft)
        drafter, verifier = tracer.policies(drafter, verifier)
    began = settled_ns(job.devices)
    with torch.inference_mode():
        context = job.context(drafter.most)
        cache = prefill(job.target, context)
        drafter.prefill(context)
    if fused:
        rounds = run_fused(fused_rounds(target, cache, drafter, verifier, context, job.ends), tracer)
    else:
        rounds = decode(target, cache, drafter, verifier, context, stops)
        rounds = rounds if tracer is None else tracer.rounds(rounds)
    return _timed(job, rounds, began)


def _recorded(job: Job, recordings: Recordings) -> tuple[Rounds, int]:
    """Rounds that are replayed, and when their prefill began."""
    drafter, verifier, stops = job.policies(job.draft)
    width = job.width(drafter.most)
    settings = replace(job.settings, max_new_tokens=1, seed=0)  # of these no recording depends
    kind = (job.method.name, settings, tuple(job.ends), len(job.rows))
    began = settled_ns(job.devices)
    with torch.inference_mode():
        rows = job.context(drafter.most)

        def make(places: int) -> Recording:
            columns = (rows.ids.new_zeros(len(job.rows), places), rows.lengths, rows.left, rows.seeds)
            ids, lengths, left, seeds = (column.clone() for column in columns)
            context = replace(rows, ids=ids, lengths=lengths, left=left, seeds=seeds, width=width)
            return Recording(recordings.recorder, job.target, drafter, verifier, stops, context)

        recording = recordings.find(kind, rows.ids.shape[1], width, make)
        recording.begin(rows)
    return recording.rounds(job.settings.max_new_tokens), began


def _timed(job: Job, rounds: Rounds, began: int) -> Run:
    """The rounds with their own time added up: a streaming caller's time between them isn't theirs."""
    run = Run(rounds, settled_ns(job.devices) - began)

    def timed() -> Rounds:
        while True:
            began = perf_counter_ns()
            with torch.inference_mode(), _threads_of(job):
                commits = next(rounds, None)
            if commits is None:
                return
            over = all(new is None or new.done for new in commits)
            run.decode_ns += (settled_ns(job.devices) if over else perf_counter_ns()) - began
            run.first_round_ns = run.first_round_ns or run.decode_ns
            yield commits

    run.rounds = timed()
    return run


@contextmanager
def _threads_of(job: Job) -> Iterator[None]:
    """Within rounds torch has one thread where the models bring their own: a second pool would get in their way."""
    threads = torch.get_num_threads()
    if threads == 1 or any(model.backend.name != "native" for model in job.models):
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
