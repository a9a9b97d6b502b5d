"""Rounds that run as one native call each, where the models, the policies and the temperature allow it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import perf_counter_ns, thread_time_ns

from draftwise.decoding.loop import Commit
from draftwise.decoding.types import Context, Drafter, Round, Verifier
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
    """Native rounds that do what ``decode`` does with the same arguments, which ``can_fuse``.

    Args:
        target: the model whose text this is.
        cache: its cache after ``prefill``.
        drafter: already filled with the same context.
        verifier: judges what the drafter guesses.
        context: the rows; committed to in place.
        stops: ids that end a row.
    """
    policy, draft = Policy(0, None, verifier.threshold if isinstance(verifier, RollbackVerifier) else None), None
    if isinstance(drafter, SmallModelDrafter) and not drafter.idle:
        policy = replace(policy, most=drafter.most, fallback_threshold=drafter.fallback_threshold)
        draft = drafter.model, drafter.cache
    return NativeRounds((target, cache), draft, policy, (context.ids, context.lengths, context.left), stops)


def run_fused(rounds: NativeRounds, tracer: Tracer | None = None) -> Iterator[list[Commit | None]]:
    """The rounds as ``decode`` yields them, until every row is done; a tracer gets a span of each."""
    going = True
    while going:
        wall, thread = perf_counter_ns(), thread_time_ns()
        new = rounds.advance()
        commits = [
            Commit(tokens, Round(drafted, min(accepted, len(tokens)), len(tokens)), left == 0) if tokens else None
            for tokens, accepted, drafted, left in zip(new.emitted, new.accepted, new.drafted, new.left, strict=True)
        ]
        going = any(new.left)
        if tracer is not None:
            waited = max(0, perf_counter_ns() - wall - (thread_time_ns() - thread))
            tracer.spans.append(_span(new, rounds.guesses(0, new.drafted[0]), perf_counter_ns() - wall, waited))
        yield commits


def _span(new: NativeRound, draft: tuple[int, ...], took: int, waited: int) -> Span:
    """The parts of a round as the library timed them; its waits, which can't be told apart, are the engine's."""
    parts = new.nanoseconds
    rest = max(0, took - sum(parts))
    return Span(draft, new.passes, *parts, rest - min(rest, waited), waited)
