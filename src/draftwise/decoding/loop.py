"""The one generation loop: propose, pass, judge, commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from draftwise.decoding.types import Context, Draft, Drafter, Round, Sampling, Verdict, Verifier
from draftwise.errors import DraftwiseError
from draftwise.models.protocol import Cache, CausalLM, is_encoder_decoder


@dataclass(frozen=True, slots=True)
class Commit:
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
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    return Context(
        ids=ids.to(device),
        lengths=lengths,
        limits=lengths + max_new_tokens,
        done=torch.zeros_like(lengths, dtype=torch.bool),
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
    going = [True] * context.ids.shape[0]
    while any(going):
        room = (context.limits - context.lengths - 1).clamp(min=0) * ~context.done
        draft = drafter.propose(context, room)
        width = draft.tokens.shape[1] + 1
        block = torch.cat((context.last(1), draft.tokens), 1)
        logits = target.forward(block, context.lengths - 1, cache, span=context.longest + width - 1, keep=width)
        verdict = verifier.judge(context, draft, logits)
        commits = commit(context, draft, verdict, stops)
        yielded = [new if alive else None for alive, new in zip(going, commits, strict=True)]
        going = [not new.done for new in commits]
        # A NaN in the cache makes every later logit one, so the last round's tell of all.
        if not any(going) and logits.isnan().any():
            raise DraftwiseError(
                f"the target's logits are not numbers; {target.dtype} may be too narrow for this model"
            )
        yield yielded


def commit(context: Context, draft: Draft, verdict: Verdict, stops: Tensor) -> list[Commit]:
    """Append what stands of a draft and the target's token after it, cut at a stop token and at the limit.

    Whole blocks are written, also where less stands: a place beyond a row's length has no meaning. Accepted tokens
    are counted after the cut, so that acceptance is never overcounted at the end of a text.
    """
    batch, width = draft.tokens.shape[0], draft.tokens.shape[1] + 1
    places = torch.arange(width, device=draft.tokens.device)
    block = torch.cat((draft.tokens, verdict.next_token[:, None]), 1)
    block = block.scatter(1, verdict.accepted[:, None], verdict.next_token[:, None])
    count = torch.minimum(verdict.accepted + 1, context.limits - context.lengths)
    ends = (block[:, :, None] == stops).any(-1) & (places < count[:, None])
    emitted = torch.where(ends.any(-1), ends.long().argmax(-1) + 1, count).masked_fill(context.done, 0)
    context.ids.scatter_(1, context.lengths[:, None] + places, block)
    context.lengths = context.lengths + emitted
    context.done = context.done | ends.any(-1) | (context.lengths >= context.limits)
    columns = (emitted, verdict.accepted, draft.lengths, context.done.long(), context.lengths)
    rows = torch.cat((torch.stack(columns, 1), block), 1).tolist()
    context.longest = max(row[4] for row in rows)
    context.fresh = False
    return [
        Commit(tuple(row[5 : 5 + row[0]]), Round(row[2], min(row[1], row[0]), row[0]), bool(row[3]))
        for row in (rows[index] for index in range(batch))
    ]
