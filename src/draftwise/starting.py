"""What stands before the first round: the rows with their prompts, and caches that hold them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from draftwise.decoding.types import Context, Sampling
from draftwise.models.protocol import Cache, CausalLM, is_encoder_decoder


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


def prefill(model: CausalLM, context: Context, cache: Cache = None) -> Cache:
    """A cache that holds each row's prompt but for its last token, which the first round feeds.

    It is filled chunk by chunk, which bounds the memory that a long prompt takes.

    Args:
        model: its context may end before the prompts do; it gets what fits.
        context: the prompts.
        cache: from the model's ``new_cache``; None for a new one with room for all that the context holds.
    """
    batch, places = context.ids.shape
    if cache is None:
        cache = model.new_cache(batch, places)
    if is_encoder_decoder(model):
        assert context.sources is not None, "an encoder-decoder's context begins with its start token"
        model.read_sources([source[: model.max_source_tokens] for source in context.sources], cache)
    count = min(context.longest - 1, model.max_positions)
    for first in range(0, count, context.chunk):
        tokens = context.ids[:, first : min(first + context.chunk, count)].to(model.device)
        starts = torch.full((batch,), first, device=model.device)
        model.forward(tokens, starts, cache, span=first + tokens.shape[1], keep=0)
    return cache
