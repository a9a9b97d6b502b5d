"""The one generation loop: propose, pass, judge, commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from draftwise.decoding.sampling import leading, none_of
from draftwise.decoding.types import Context, Draft, Drafter, Round, Sampling, Verdict, Verifier
from draftwise.errors import DraftwiseError
from draftwise.models.protocol import Cache, CausalLM, is_encoder_decoder


class Commit(NamedTuple):
    """What one round added to one row."""

    tokens: tuple[int, ...]
    round: Round
    done: bool


def start(
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    sampling: Sampling,
    *,
    max_new_tokens: int,
    slack: int,
    chunk: int,
    device: torch.device,
    start_token_id: int | None = None,
) -> Context:
    """A context that holds the prompts, left-justified; ``slack`` places are for a draft beyond the limit.

    With a ``start_token_id`` the prompts are an encoder's, and the rows begin with that token alone.
    """
    sources = None
    if start_token_id is not None:
        sources = tuple(tuple(prompt) for prompt in prompts)
        prompts = [[start_token_id]] * len(sources)
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), longest + max_new_tokens + slack, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt)
    return Context(
        ids=ids.to(device),
        lengths=torch.tensor([len(prompt) for prompt in prompts], device=device),
        left=torch.full((len(prompts),), max_new_tokens, device=device),
        seeds=torch.tensor(seeds, device=device),
        sampling=sampling,
        longest=longest,
        chunk=chunk,
        sources=sources,
    )


def prefill(model: CausalLM, context: Context, capacity: int | None = None) -> Cache:
    """A cache that holds each row's prompt but for its last token, which the first round feeds.

    It is filled chunk by chunk, which bounds the memory that a long prompt takes.

    Args:
        model: its context may end before the prompts do; it gets what fits.
        context: the prompts.
        capacity: positions of the cache; None for as many as the context holds.
    """
    batch, places = context.ids.shape
    cache = model.new_cache(batch, places if capacity is None else capacity)
    if is_encoder_decoder(model):
        assert context.sources is not None, "an encoder-decoder's context begins with its start token"
        model.read_sources([source[: model.max_source_tokens] for source in context.sources], cache)
    count = min(context.longest - 1, model.max_positions)
    for first in range(0, count, context.chunk):
        tokens = context.ids[:, first : min(first + context.chunk, count)].to(model.device)
        starts = torch.full((batch,), first, device=model.device)
        model.forward(tokens, starts, cache, span=first + tokens.shape[1], keep=0)
    return cache


class Outcome(NamedTuple):
    """A round's columns: all that the host needs to know of it."""

    emitted: Tensor  # [B]
    accepted: Tensor  # [B]
    drafted: Tensor  # [B]
    left: Tensor  # [B], tokens that the row may still get
    lengths: Tensor  # [B]
    block: Tensor  # [B, K + 1], the row's new tokens are its first ``emitted``


def decode(
    target: CausalLM, cache: Cache, drafter: Drafter, verifier: Verifier, context: Context, stops: Tensor
) -> Iterator[list[Commit | None]]:
    """Decode until every row is done.

    Args:
        target: the model whose text this is.
        cache: its cache after ``prefill``.
        drafter: already filled with the same context.
        verifier: judges what the drafter guesses.
        context: the rows; committed to in place.
        stops: ids that end a row, [E] int64, maybe none.

    Yields:
        For each round what it added to each row; None for a row that was done before.

    Raises:
        DraftwiseError: the target's logits are not numbers.
    """
    going = True
    while going:
        logits, outcome = advance(target, cache, drafter, verifier, context, stops)
        commits = read([column.tolist() for column in outcome])
        context.longest = max(outcome.lengths.tolist())
        going = any(new is not None and not new.done for new in commits)
        if not going:
            check_numbers(logits, target)
        yield commits


def advance(
    target: CausalLM, cache: Cache, drafter: Drafter, verifier: Verifier, context: Context, stops: Tensor
) -> tuple[Tensor, Outcome]:
    """One round: propose, pass, judge, commit. Tensors in, tensors out; arguments as for ``decode``.

    Returns:
        The target's logits [B, K + 1, V] and the round's columns.
    """
    draft = drafter.propose(context, (context.left - 1).clamp(min=0))
    width = draft.tokens.shape[1] + 1
    block = torch.cat((context.last(1), draft.tokens), 1)
    logits = target.forward(block, context.lengths - 1, cache, span=context.longest + width - 1, keep=width)
    verdict = verifier.judge(context, draft, logits)
    return logits, commit(context, draft, verdict, stops)


def commit(context: Context, draft: Draft, verdict: Verdict, stops: Tensor) -> Outcome:
    """Append what stands of a draft and the target's token after it, cut at a stop token and at the limit.

    Whole blocks are written, also where less stands: a place beyond a row's length has no meaning.
    """
    block = torch.cat((draft.tokens, verdict.next_token[:, None]), 1)
    if draft.tokens.shape[1]:
        block = block.scatter(1, verdict.accepted[:, None], verdict.next_token[:, None])
    places = torch.arange(block.shape[1], device=block.device)
    context.ids.scatter_(1, context.lengths[:, None] + places, block)
    emitted = torch.minimum(verdict.accepted + 1, context.left)
    left = context.left - emitted
    if stops.shape[0]:
        ends = leading(none_of(block, stops)) + 1
        left = left * (ends > emitted)
        emitted = torch.minimum(ends, emitted)
    context.left.copy_(left)
    context.lengths.add_(emitted)
    context.fresh = False
    return Outcome(emitted, verdict.accepted, draft.lengths, context.left, context.lengths, block)


def read(columns: Sequence[Sequence[Any]]) -> list[Commit | None]:
    """What a round added to each row, from its ``Outcome``'s columns as lists; None for a row that was done before.

    Accepted tokens are counted after the cut, so that acceptance is never overcounted at the end of a text.
    """
    return [
        Commit(tuple(block[:emitted]), Round(drafted, min(accepted, emitted), emitted), left == 0) if emitted else None
        for emitted, accepted, drafted, left, _, block in zip(*columns, strict=True)
    ]


def check_numbers(logits: Tensor, target: CausalLM) -> None:
    """Look for NaN in the last round's logits: one in the cache makes every later logit one, so they tell of all."""
    if logits.isnan().any():
        raise DraftwiseError(f"the target's logits are not numbers; {target.dtype} may be too narrow for this model")
