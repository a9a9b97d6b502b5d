"""Rounds that run as one native call each, where the models, the policies and the temperature allow it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import perf_counter_ns, thread_time_ns

from draftwise.decoding.loop import Commit, read
from draftwise.decoding.types import Context, Drafter, Verifier
from draftwise.drafters.none import NoDrafter
from draftwise.drafters.small_model import SmallModelDrafter
from draftwise.models.backends.native.rounds import NativeRound, NativeRounds, Policy, native_model
from draftwise.models.protocol import Cache, CausalLM
from draftwise.tracing import Span, Tracer
from draftwise.verifiers.rejection import RejectionVerifier
from draftwise.verifiers.rollback import RollbackVerifier


def can_fuse(target: CausalLM, drafter: Drafter, verifier: Verifier, *, greedy: bool) -> bool:
    """Whether rounds of these parts can be native calls; ``greedy`` is for temperature 0."""
    models = [target, drafter.model] if isinstance(drafter, SmallModelDrafter) else [target]
    known = type(drafter) in (NoDrafter, SmallModelDrafter) and type(verifier) in (RejectionVerifier, RollbackVerifier)
    return greedy and known and all(native_model(model) is not None for model in models)


def fused_rounds(
    target: CausalLM, cache: Cache, drafter: Drafter, verifier: Verifier, context: Context, stops: Sequence[int]
) -> NativeRounds:
    """Native rounds that do what ``decode`` does, of parts that ``can_fuse``; its arguments, ``stops`` as a list."""
    policy, draft = Policy(0, None, verifier.threshold if isinstance(verifier, RollbackVerifier) else None), None
    if isinstance(drafter, SmallModelDrafter) and not drafter.idle:
        policy = replace(policy, most=drafter.most, fallback_threshold=drafter.fallback_threshold)
        draft = drafter.model, drafter.cache
    return NativeRounds((target, cache), draft, policy, (context.ids, context.lengths, context.left), stops)


def run_fused(rounds: NativeRounds, tracer: Tracer | None = None) -> Iterator[list[Commit | None]]:
    """The rounds as ``decode`` yields them, until every row is done; a tracer gets a span of each."""
    going = True
    while going:
        commits = read((rounds.advance() if tracer is None else _observed(rounds, tracer)).columns)
        going = any(new is not None and not new.done for new in commits)
        yield commits


def _observed(rounds: NativeRounds, tracer: Tracer) -> NativeRound:
    """A round of one row and its span: the parts as the library timed them, waits taken from what is left of the round.

    In which part the thread waited can't be told.
    """
    wall, thread = perf_counter_ns(), thread_time_ns()
    new = rounds.advance()
    took = perf_counter_ns() - wall
    waited = max(0, took - (thread_time_ns() - thread))
    rest = max(0, took - sum(new.nanoseconds))
    _, _, (drafted, *_), *_ = new.columns
    span = Span(rounds.guesses(0, drafted), new.passes, *new.nanoseconds, rest - min(rest, waited), waited)
    tracer.spans.append(span)
    return new
