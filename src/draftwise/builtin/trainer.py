"""The training loop: a bfloat16 model, float32 masters, Muon for matrices beside AdamW for the rest."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from draftwise.builtin import workers
from draftwise.builtin.batches import Batch, draw_lines, grouped
from draftwise.builtin.recipe import Recipe
from draftwise.builtin.start import prepare, prepared


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step did: mean weighted loss in nats, and the tokens seen so far."""

    step: int
    loss: float
    tokens: int


class Optimizers:
    """Muon for the hidden matrices, AdamW for everything else, on a float32 copy of a bfloat16 model."""

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        self.model = model
        named = list(model.named_parameters())
        self.masters = [nn.Parameter(p.detach().float().clone()) for _, p in named]
        slow = [prepared(name) for name, _ in named]
        hidden = [p.ndim == 2 and "embed" not in name and "lm_head" not in name for name, p in named]
        groups = list(zip(self.masters, hidden, slow, strict=True))
        self.matrices = [p for p, is_matrix, is_slow in groups if is_matrix and not is_slow]
        rest = [p for p, is_matrix, is_slow in groups if not is_matrix and not is_slow]
        muon = torch.optim.Muon(workers.owned(self.matrices), lr=recipe.matrix_rate, momentum=0.95, weight_decay=0.01)
        adam = torch.optim.AdamW(rest, lr=recipe.rate, betas=(0.9, 0.95), weight_decay=0.0)
        still = torch.optim.AdamW(
            [p for p, _, is_slow in groups if is_slow], lr=recipe.slow_rate, betas=(0.9, 0.95), weight_decay=0.0
        )
        self.optims: tuple[torch.optim.Optimizer, ...] = (muon, adam, still)
        self.rates, self.clip = (recipe.matrix_rate, recipe.rate, recipe.slow_rate), recipe.clip

    def step(self, scale: float) -> None:
        """Average and clip the model's gradients, update with the learning rates scaled, and clear the gradients."""
        for master, parameter in zip(self.masters, self.model.parameters(), strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.float()
        workers.average_gradients(self.masters)
        nn.utils.clip_grad_norm_(self.masters, self.clip)
        for optim, rate in zip(self.optims, self.rates, strict=True):
            for group in optim.param_groups:
                group["lr"] = rate * scale
            optim.step()
        workers.share_owned(self.matrices)
        self.model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for master, parameter in zip(self.masters, self.model.parameters(), strict=True):
                parameter.copy_(master)


def weighted_loss(model: Any, batch: Batch) -> Tensor:
    """Return the sum of the weighted cross-entropies of a batch; right padding needs no attention mask."""
    hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state[:, :-1]  # [B, T-1, D]
    weights = batch.weights[:, 1:]
    wanted = weights > 0
    logits = model.lm_head(hidden[wanted])
    losses = nn.functional.cross_entropy(logits.float(), batch.ids[:, 1:][wanted], reduction="none")
    return (losses * weights[wanted]).sum()


def _backward(model: Any, batches: list[Batch]) -> float:
    total = sum(float(batch.weights[:, 1:].sum()) for batch in batches)
    loss = 0.0
    for batch in batches:
        part = weighted_loss(model, batch) / total
        torch.autograd.backward(part)
        loss += float(part.detach())
    return loss


def train(model: nn.Module, tokenizer: Tokenizer, recipe: Recipe, rank: int = 0) -> Iterator[Progress]:
    """Train in place, step by step; the caller logs and saves between steps.

    Each of the recipe's workers draws its own share of a step's lines; `tokens` counts those of all workers as equal.
    """
    rng, optimizers = random.Random(f"{recipe.seed}/{rank}"), Optimizers(model, recipe)
    share, tokens = recipe.lines // recipe.workers, 0
    model.train()
    for step in range(recipe.steps):
        lines = list(draw_lines(tokenizer, recipe.mix(step), share, rng, recipe.prompt_weight))
        loss = _backward(model, grouped(lines, recipe.groups))
        optimizers.step(recipe.scale(step))
        tokens += recipe.workers * sum(len(line.ids) for line in lines)
        yield Progress(step, loss, tokens)


def new_model(recipe: Recipe, vocabulary: int) -> Any:
    """Build an untrained bfloat16 model from the recipe's seed, see `start.py`."""
    from transformers import OPTForCausalLM

    torch.manual_seed(recipe.seed)
    model = OPTForCausalLM(recipe.shape.config(vocabulary))
    prepare(model)
    model.set_attn_implementation("eager")  # on a CPU its backward pass is faster than that of sdpa
    return model.bfloat16()
