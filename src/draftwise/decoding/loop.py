"""The one generation loop: propose, pass, judge, commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from draftwise.decoding.sampling import leading, none_of
from draftwise.decoding.types import Context, Draft, Drafter, Round, Verdict, Verifier
from draftwise.errors import not_numbers
from draftwise.models.protocol import Cache, CausalLM


class Commit(NamedTuple):
    """What one round added to one row."""

    tokens: tuple[int, ...]
    round: Round
    done: bool


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
    """Decode until every row is done, and yield what each round added to each row; None for a row that was done before.

    Args:
        target: the model whose text this is.
        cache: its cache after ``prefill``.
        drafter: already filled with the same context.
        verifier: judges what the drafter guesses.
        context: the rows; committed to in place.
        stops: ids that end a row, [E] int64, maybe none.

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
    """One round, tensors in and tensors out: the target's logits [B, K + 1, V] and what was committed."""
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
        raise not_numbers(target.dtype)
