"""Growth that changes no output (Net2Net, Chen et al. 2016): the tensors of a bigger OPT model from a small one's.

Wider: every unit of the big model copies one of the small model's, and what reads a unit divides its weight among the
unit's copies. The stream is whole copies of the small one's, so the mean and variance that a norm takes are the same.
Deeper: the blocks in between add nothing, since their last matrices are zero. Shares are powers of two, so a divided
weight is exact in bfloat16 as well, and the copies differ from the small model in the order of its sums only.

Pure functions of tensors, on whatever device the small ones lie: nothing here knows of files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from draftwise.builtin.shapes import PREFIX, Shape, check_reach

Recipes = dict[str, Callable[[], Tensor]]
"""Tensors that don't exist yet, by name: each call makes one."""


class Units(NamedTuple):
    """Which small unit each of N big ones copies, [N] int64, and what part of its weight a reader gives it, [N]."""

    source: Tensor
    share: Tensor


def shares(count: int) -> list[float]:
    """Powers of two, one for each of ``count`` copies, that sum to 1 and are as even as such can be."""
    whole = 1 << (count.bit_length() - 1)
    larger = 2 * whole - count
    return [1 / whole] * larger + [0.5 / whole] * (count - larger)


def copies(small: int, big: int, device: torch.device) -> Units:
    """Units 0 to ``small`` - 1 over and over until there are ``big``."""
    index = torch.arange(big, device=device)
    least, more = divmod(big, small)
    table = torch.tensor([shares(least) + [0.0], shares(least + 1)], device=device)  # [2, least + 1]
    return Units(index % small, table[(index % small < more).long(), index // small])


def divide(weight: Tensor, count: int, dtype: torch.dtype, carry: bool = False) -> Tensor:
    """A map [R, D] of one stream as a map [R, count D] of ``count`` copies of it.

    Args:
        weight: the map; float64 where it has more digits than ``dtype``.
        count: how many copies.
        dtype: the result's.
        carry: give the last copy what rounding left over of the others, which keeps about twice the digits.
    """
    parts = [*shares(count - 1), 0.0] if carry and count > 1 else shares(count)
    result = weight.new_empty((len(weight), count, weight.shape[1]), dtype=dtype)
    left = weight.clone()
    for place, part in enumerate(parts[:-1]):
        result[:, place] = weight * part
        left -= result[:, place]
    result[:, -1] = left
    return result.flatten(1)


class _Growth:
    """The widenings that all layers share, and the small model's tensors."""

    def __init__(self, weights: Mapping[str, Tensor], small: Shape, big: Shape, dtype: torch.dtype) -> None:
        self.weights, self.small, self.big, self.dtype = weights, small, big, dtype
        device = weights[f"{PREFIX}embed_tokens.weight"].device
        self.times = big.hidden // small.hidden
        self.inner = copies(small.ffn, big.ffn, device)
        heads, dims = (copies(small.heads, big.heads, device), copies(small.head_dim, big.head_dim, device))
        self.values = Units(
            (heads.source[:, None] * small.head_dim + dims.source).flatten(),
            (heads.share[:, None] * dims.share).flatten(),
        )
        self.stretch = math.sqrt(big.head_dim / small.head_dim)  # scores are divided by the root of the head's width
        self.query_share = dims.share.repeat(big.heads).double() * self.stretch

    def vector(self, name: str) -> Tensor:
        """One that stands in the stream, [times D]."""
        return self.weights[name].float().repeat(self.times)

    def reader(self, name: str, rows: Units, row_share: Tensor | None = None) -> Recipes:
        """A map from the stream to units; ``row_share`` [N] scales each."""

        def chosen(kind: str) -> Tensor:
            tensor = self.weights[f"{name}.{kind}"][rows.source].double()
            return tensor if row_share is None else tensor * row_share.view(-1, *[1] * (tensor.dim() - 1))

        def weight() -> Tensor:
            carry = row_share is not None and math.frexp(self.stretch)[0] != 0.5  # a power of two costs no digit
            return divide(chosen("weight"), self.times, self.dtype, carry)

        return {"weight": weight, "bias": lambda: chosen("bias").float()}

    def writer(self, name: str, columns: Units, lives: bool) -> Recipes:
        """A map from units to the stream; zero where the block is to add nothing."""

        def weight() -> Tensor:
            own = self.weights[f"{name}.weight"].to(self.dtype)[:, columns.source].mul_(columns.share)
            return own.repeat(self.times, 1) if lives else own.new_zeros(self.big.hidden, own.shape[1])

        def bias() -> Tensor:
            own = self.vector(f"{name}.bias")
            return own if lives else torch.zeros_like(own)

        return {"weight": weight, "bias": bias}

    def norm(self, name: str) -> Recipes:
        """A norm over the stream."""
        return {kind: partial(self.vector, f"{name}.{kind}") for kind in ("weight", "bias")}

    def layer(self, source: int, lives: bool) -> Recipes:
        """One block's tensors, by their names within it."""
        name = f"{PREFIX}layers.{source}."
        attention = f"{name}self_attn."
        parts = {
            "self_attn.q_proj": self.reader(f"{attention}q_proj", self.values, self.query_share),
            "self_attn.k_proj": self.reader(f"{attention}k_proj", self.values),
            "self_attn.v_proj": self.reader(f"{attention}v_proj", self.values),
            "self_attn.out_proj": self.writer(f"{attention}out_proj", self.values, lives),
            "fc1": self.reader(f"{name}fc1", self.inner),
            "fc2": self.writer(f"{name}fc2", self.inner, lives),
            "self_attn_layer_norm": self.norm(f"{name}self_attn_layer_norm"),
            "final_layer_norm": self.norm(f"{name}final_layer_norm"),
        }
        return {f"{part}.{kind}": recipe for part, kinds in parts.items() for kind, recipe in kinds.items()}

    def tokens(self) -> Tensor:
        """The token table: the small one's rows in every copy, and rows that keep the ids in excess from winning.

        The final norm gives the two places named by ``_constants`` the values 1 and -1, whatever the text. Rows of the
        small model's hold the same number in both, which cancels; a row in excess holds -B and B, so its logit is
        always -2 B, and no logit can be below -B.
        """
        table = self.weights[f"{PREFIX}embed_tokens.weight"].to(self.dtype)
        grown = table.new_zeros(self.big.vocab, self.big.hidden)
        grown[: self.small.vocab].view(self.small.vocab, self.times, -1).copy_(table[:, None])
        if self.big.vocab > self.small.vocab:
            first, second = self._constants()
            bound = 2.0 ** math.ceil(math.log2(self._largest_logit()))
            grown[self.small.vocab :, first] = -bound
            grown[self.small.vocab :, second] = bound
        return grown

    def _constants(self) -> tuple[int, int]:
        """The stream's first place, in its second and its third copy."""
        return self.small.hidden, 2 * self.small.hidden

    def _largest_logit(self) -> float:
        """No logit is further from 0: what a norm makes of D values is at most the root of D."""
        weight, bias = (self.weights[f"{PREFIX}final_layer_norm.{kind}"].double().abs() for kind in ("weight", "bias"))
        highest = weight * math.sqrt(self.small.hidden) + bias
        rows = self.weights[f"{PREFIX}embed_tokens.weight"].double().abs() @ highest
        return max(1.0, float(rows.max()))

    def final_norm(self) -> tuple[Tensor, Tensor]:
        """Scale and shift, [times D] each, divided among the copies since the head reads all of them."""
        scale, shift = (self.vector(f"{PREFIX}final_layer_norm.{kind}") for kind in ("weight", "bias"))
        share = scale.new_tensor(shares(self.times)).repeat_interleave(self.small.hidden)
        if self.big.vocab == self.small.vocab:
            return scale * share, shift * share
        first, second = self._constants()
        taken = [0, first // self.small.hidden, second // self.small.hidden]
        others = [place for place in range(self.times) if place not in taken[1:]]
        share[:: self.small.hidden] = 0.0
        share[[place * self.small.hidden for place in others]] = share.new_tensor(shares(len(others)))
        scale, shift = scale * share, shift * share
        shift[first], shift[second] = 1.0, -1.0
        return scale, shift

    def positions(self) -> Tensor:
        """The position table, with rows of zeros where the small model has none."""
        table = self.weights[f"{PREFIX}embed_positions.weight"].to(self.dtype).repeat(1, self.times)
        return torch.cat([table, table.new_zeros(self.big.positions - self.small.positions, self.big.hidden)])


def growth_recipes(weights: Mapping[str, Tensor], small: Shape, big: Shape, dtype: torch.dtype) -> Recipes:
    """How to make each tensor of the big model, by the names and in the order of ``big.tensors()``.

    A recipe makes its tensor anew each time, so whoever asks decides in which order they come and how many there are
    at once.

    Args:
        weights: the small model's tensors, by the names of ``small.tensors()``, on the device to grow on.
        small: its sizes.
        big: the sizes to grow to.
        dtype: of the matrices; vectors are float32, whose digits cost no room.

    Raises:
        DraftwiseError: the small model can't grow to these sizes.
    """
    check_reach(small, big)
    growth = _Growth(weights, small, big, dtype)
    recipes: Recipes = {
        f"{PREFIX}embed_tokens.weight": growth.tokens,
        f"{PREFIX}embed_positions.weight": growth.positions,
        f"{PREFIX}final_layer_norm.weight": lambda: growth.final_norm()[0],
        f"{PREFIX}final_layer_norm.bias": lambda: growth.final_norm()[1],
    }
    before = -1
    for index in range(big.layers):
        source = index * small.layers // big.layers
        block = growth.layer(source, lives=source != before)
        recipes |= {f"{PREFIX}layers.{index}.{name}": recipe for name, recipe in block.items()}
        before = source
    return recipes


def grown_tensors(
    weights: Mapping[str, Tensor], small: Shape, big: Shape, dtype: torch.dtype
) -> Iterator[tuple[str, Tensor]]:
    """The tensors of the big model one at a time, by name; arguments, order and errors as for ``growth_recipes``."""
    return ((name, make()) for name, make in growth_recipes(weights, small, big, dtype).items())
