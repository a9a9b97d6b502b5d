"""OPT (Zhang et al. 2022) in every shape it was published: 125m to 66b, and 350m with norms after the blocks.

A pass on a small model is bound by the cost of each operation, so the query, key and value matrices are one, a token's
keys and values are one row of the cache, and whatever all layers share (where to write, what to see) is worked out
once a pass. One row on a CPU takes slices of the cache; every other pass addresses each row's positions by tensors
alone, so that it never waits for the device and its shapes can be captured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from draftwise.errors import DraftwiseError, unknown_name
from draftwise.models.checkpoint import Checkpoint

_POSITION_OFFSET = 2  # the position table's first two rows are never used

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "swish": F.silu,
}

_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "int": ("a whole number of at least 1", lambda value: type(value) is int and value >= 1),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "str": ("a name", lambda value: isinstance(value, str)),
}


@dataclass(frozen=True, slots=True)
class OptConfig:
    """What config.json says about the shape of the pass, under its own names."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    ffn_dim: int
    max_position_embeddings: int
    word_embed_proj_dim: int
    activation_function: str = "relu"
    do_layer_norm_before: bool = True
    _remove_final_layer_norm: bool = False
    enable_bias: bool = True
    layer_norm_elementwise_affine: bool = True
    tie_word_embeddings: bool = True

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> OptConfig:
        """Pick the known keys out of config.json's object.

        Raises:
            DraftwiseError: naming a key that is missing, or one whose value is of no use.
        """
        given = dict(raw)
        if given.get("word_embed_proj_dim") is None and "hidden_size" in given:
            given["word_embed_proj_dim"] = given["hidden_size"]
        lacking = [item.name for item in fields(cls) if item.default is MISSING and item.name not in given]
        if lacking:
            raise DraftwiseError(f"config.json lacks {', '.join(lacking)}; give a complete OPT config.json")
        return cls(**{item.name: given[item.name] for item in fields(cls) if item.name in given})

    def __post_init__(self) -> None:
        """Check every value."""
        for item in fields(self):
            wanted, fits = _KINDS[str(item.type)]
            value = getattr(self, item.name)
            if not fits(value):
                raise DraftwiseError(f"config.json: {item.name} must be {wanted}, not {value!r}")
        if self.hidden_size % self.num_attention_heads:
            raise DraftwiseError(
                f"config.json: hidden_size {self.hidden_size} must be a multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if self.activation_function not in _ACTIVATIONS:
            raise unknown_name("activation_function in config.json", self.activation_function, _ACTIVATIONS)


class Norm(NamedTuple):
    """A layer norm's scale and shift, [D] each; a norm may have neither."""

    weight: Tensor | None = None
    bias: Tensor | None = None


class Matrix(NamedTuple):
    """A linear map: weight [out, in], bias [out]."""

    weight: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One block's weights."""

    attention_norm: Norm
    qkv: Matrix
    out: Matrix
    feed_forward_norm: Norm
    up: Matrix
    down: Matrix


@dataclass(frozen=True, slots=True)
class Window:
    """Where one pass stands in the cache: the same for every layer."""

    positions: Tensor  # position embeddings, [T, D] or [B * T, D]
    targets: tuple[Tensor, ...]  # a layer's cache rows to write, [T, 2 * D], or all of them, [B * (S + 1), 2 * D]
    rows: Tensor | None  # which of all rows to write, [B * T]; None writes the targets from first to last
    keys: tuple[Tensor, ...]  # a layer's visible keys, [B, H, span, Dh]
    values: tuple[Tensor, ...]
    mask: Tensor | None  # added to the scores, [T, span] or [B, 1, T, span]; None where a query sees every key


class OptModel:
    """An OPT checkpoint's forward pass; see ``CausalLM`` for the contract.

    The cache is one tensor, [L, B, S + 1, 2, H, Dh]: keys and values side by side. Positions at or beyond the capacity
    S, which finished rows may ask for, all write to the spare entry, and nothing reads it. Entries start as zeros
    because a masked entry still takes part in a product, with weight 0.
    """

    implementation = "own"
    start_token_id: int | None = None

    def __init__(self, config: OptConfig, weights: Checkpoint, eos_token_ids: tuple[int, ...]) -> None:
        """Read the weights, tensor by tensor, to the checkpoint's dtype and device."""
        self.config = config
        self.vocab_size = config.vocab_size
        self.max_positions = config.max_position_embeddings
        self.eos_token_ids = eos_token_ids
        self.linear: Callable[[Tensor, Tensor, Tensor | None], Tensor] = F.linear
        self._activation = _ACTIVATIONS[config.activation_function]
        with torch.inference_mode():
            self._read(config, weights)
        self.device = self._tokens.device
        self.dtype = self._tokens.dtype

    def _read(self, config: OptConfig, weights: Checkpoint) -> None:
        hidden, narrow = config.hidden_size, config.word_embed_proj_dim
        self._tokens = weights.take("embed_tokens.weight", config.vocab_size, narrow)
        self._positions = weights.take("embed_positions.weight", self.max_positions + _POSITION_OFFSET, hidden)
        self._positions = self._positions[_POSITION_OFFSET:]
        self._project_in = self._project_out = None
        if narrow != hidden:
            self._project_in = Matrix(weights.take("project_in.weight", hidden, narrow))
            self._project_out = Matrix(weights.take("project_out.weight", narrow, hidden))
        self._layers = [_read_layer(config, weights, f"layers.{i}.") for i in range(config.num_hidden_layers)]
        weights.ignore(r"(?!layers\.).*")
        weights.expect_none_left()
        self._final_norm = None
        if config.do_layer_norm_before and not config._remove_final_layer_norm:
            self._final_norm = _read_norm(config, weights, "final_layer_norm")
        tied = config.tie_word_embeddings
        self._head = Matrix(self._tokens if tied else weights.take("lm_head.weight", config.vocab_size, narrow))

    @property
    def bytes_per_pass(self) -> int:
        """The bytes of every weight but the embedding tables, of which a pass reads a row a token; the head counts."""
        parts = [self._project_in, self._project_out, self._final_norm, self._head]
        for layer in self._layers:
            parts += [getattr(layer, item.name) for item in fields(layer)]
        return sum(tensor.nbytes for part in parts if part is not None for tensor in part if tensor is not None)

    @torch.inference_mode()
    def new_cache(self, batch: int, capacity: int) -> Tensor:
        """A zeroed cache for ``batch`` rows of ``capacity`` positions."""
        heads = self.config.num_attention_heads
        shape = (self.config.num_hidden_layers, batch, capacity + 1, 2, heads, self.config.hidden_size // heads)
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    @torch.inference_mode()
    def forward(self, tokens: Tensor, starts: Tensor, cache: Tensor, *, span: int, keep: int) -> Tensor:
        """One pass; arguments and result as in ``CausalLM.forward``."""
        batch, steps = tokens.shape
        window = self._window(starts, steps, cache, span)
        x = F.embedding(tokens.reshape(-1), self._tokens)
        if self._project_in is not None:
            x = self.linear(x, *self._project_in)
        x = x + window.positions
        for index, layer in enumerate(self._layers):
            x = self._block(index, layer, x, window, batch)
        return self._logits(x.view(batch, steps, -1)[:, steps - keep :])

    def _window(self, starts: Tensor, steps: int, cache: Tensor, span: int) -> Window:
        if starts.shape[0] == 1 and self.device.type == "cpu":
            start = int(starts)
            if start + steps <= min(span, self.max_positions):
                return self._sliced(start, start + steps, cache)
        return self._addressed(starts, steps, cache, span)

    def _sliced(self, start: int, stop: int, cache: Tensor) -> Window:
        """A window for one row whose place the host knows: it ends at ``stop``, so one query needs no mask."""
        visible = cache[:, :, :stop].transpose(2, 4)
        mask = None
        if stop - start > 1:
            mask = torch.full((stop - start, stop), -torch.inf, dtype=self.dtype).triu_(start + 1)
        return Window(
            positions=self._positions[start:stop],
            targets=cache[:, 0, start:stop].flatten(2).unbind(),
            rows=None,
            keys=visible[:, :, :, 0].unbind(),
            values=visible[:, :, :, 1].unbind(),
            mask=mask,
        )

    def _addressed(self, starts: Tensor, steps: int, cache: Tensor, span: int) -> Window:
        """A window for ragged rows: positions out of reach are clamped, entries out of sight are masked."""
        layers, batch, capacity = cache.shape[0], cache.shape[1], cache.shape[2] - 1
        positions = starts[:, None] + torch.arange(steps, device=self.device)  # [B, T]
        hidden = torch.arange(span, device=self.device) > positions[:, None, :, None]  # [B, 1, T, span]
        first = torch.arange(batch, device=self.device)[:, None] * (capacity + 1)
        visible = cache[:, :, :span].transpose(2, 4)
        return Window(
            positions=F.embedding(positions.clamp(max=self.max_positions - 1).view(-1), self._positions),
            targets=cache.view(layers, batch * (capacity + 1), -1).unbind(),
            rows=(first + positions.clamp(max=capacity)).view(-1),
            keys=visible[:, :, :, 0].unbind(),
            values=visible[:, :, :, 1].unbind(),
            mask=torch.zeros(hidden.shape, dtype=self.dtype, device=self.device).masked_fill_(hidden, -torch.inf),
        )

    def _block(self, index: int, layer: Layer, x: Tensor, window: Window, batch: int) -> Tensor:
        before = self.config.do_layer_norm_before
        h = self._norm(x, layer.attention_norm) if before else x
        x = x + self._attention(index, layer, h, window, batch)
        if not before:
            x = self._norm(x, layer.attention_norm)
        h = self._norm(x, layer.feed_forward_norm) if before else x
        x = x + self.linear(self._activation(self.linear(h, *layer.up)), *layer.down)
        return x if before else self._norm(x, layer.feed_forward_norm)

    def _attention(self, index: int, layer: Layer, h: Tensor, window: Window, batch: int) -> Tensor:
        width = self.config.hidden_size
        qkv = self.linear(h, *layer.qkv)  # [B * T, 3 * D]
        if window.rows is None:
            window.targets[index].copy_(qkv[:, width:])
        else:
            window.targets[index].index_copy_(0, window.rows, qkv[:, width:])
        keys = window.keys[index]
        queries = qkv[:, :width].view(batch, -1, keys.shape[1], keys.shape[3]).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(queries, keys, window.values[index], attn_mask=window.mask)
        return self.linear(mixed.transpose(1, 2).reshape(-1, width), *layer.out)

    def _norm(self, x: Tensor, norm: Norm) -> Tensor:
        return torch.layer_norm(x, (self.config.hidden_size,), norm.weight, norm.bias)

    def _logits(self, x: Tensor) -> Tensor:
        """Logits of hidden states x, [B, keep, D]."""
        if self._final_norm is not None:
            x = self._norm(x, self._final_norm)
        if self._project_out is not None:
            x = self.linear(x, *self._project_out)
        return self.linear(x, *self._head).float()


def _read_layer(config: OptConfig, weights: Checkpoint, name: str) -> Layer:
    hidden, wide = config.hidden_size, config.ffn_dim
    parts = [_read_matrix(config, weights, f"{name}self_attn.{part}_proj", hidden, hidden) for part in "qkv"]
    biases = [part.bias for part in parts if part.bias is not None]
    return Layer(
        attention_norm=_read_norm(config, weights, f"{name}self_attn_layer_norm"),
        qkv=Matrix(torch.cat([part.weight for part in parts]), torch.cat(biases) if biases else None),
        out=_read_matrix(config, weights, f"{name}self_attn.out_proj", hidden, hidden),
        feed_forward_norm=_read_norm(config, weights, f"{name}final_layer_norm"),
        up=_read_matrix(config, weights, f"{name}fc1", wide, hidden),
        down=_read_matrix(config, weights, f"{name}fc2", hidden, wide),
    )


def _read_matrix(config: OptConfig, weights: Checkpoint, name: str, rows: int, columns: int) -> Matrix:
    weight = weights.take(f"{name}.weight", rows, columns)
    return Matrix(weight, weights.take(f"{name}.bias", rows) if config.enable_bias else None)


def _read_norm(config: OptConfig, weights: Checkpoint, name: str) -> Norm:
    if not config.layer_norm_elementwise_affine:
        return Norm()
    return Norm(*(weights.take(f"{name}.{part}", config.hidden_size) for part in ("weight", "bias")))


def load_opt(raw: Mapping[str, Any], weights: Checkpoint, eos_token_ids: tuple[int, ...]) -> OptModel:
    """Build the model that config.json's object describes; checkpoints have these prefixes, one of them or none."""
    return OptModel(OptConfig.from_json(raw), weights.without_prefixes("model.", "decoder."), eos_token_ids)
