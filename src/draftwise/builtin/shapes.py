"""The sizes of an OPT model: published ones, those asked for, and whether a smaller model can grow to them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from draftwise.errors import DraftwiseError, unknown_name

POSITION_OFFSET = 2  # the position table's first two rows are never used
PREFIX = "model.decoder."
MOST_LAYERS = 1000  # ten times the deepest published model: a slip of the hand ends here, not in memory


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the tensors of an OPT model with norms before its blocks and a head tied to the token table."""

    hidden: int
    layers: int
    heads: int
    ffn: int
    vocab: int
    positions: int = 2048

    @property
    def head_dim(self) -> int:
        """The width of one head."""
        return self.hidden // self.heads

    @property
    def parameters(self) -> int:
        """How many values the tensors hold; the tied head counts once."""
        return sum(map(math.prod, self.tensors().values()))

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor by its name in a checkpoint, in the order in which they are grown."""
        tensors: dict[str, tuple[int, ...]] = {
            f"{PREFIX}embed_tokens.weight": (self.vocab, self.hidden),
            f"{PREFIX}embed_positions.weight": (self.positions + POSITION_OFFSET, self.hidden),
            **_norm(f"{PREFIX}final_layer_norm", self.hidden),
        }
        for index in range(self.layers):
            tensors |= self._layer(f"{PREFIX}layers.{index}.")
        return tensors

    def _layer(self, name: str) -> dict[str, tuple[int, ...]]:
        hidden, ffn = self.hidden, self.ffn
        maps = {f"self_attn.{part}": (hidden, hidden) for part in ("q_proj", "k_proj", "v_proj", "out_proj")}
        tensors: dict[str, tuple[int, ...]] = {}
        for part, (rows, columns) in (maps | {"fc1": (ffn, hidden), "fc2": (hidden, ffn)}).items():
            tensors |= {f"{name}{part}.weight": (rows, columns), f"{name}{part}.bias": (rows,)}
        return tensors | _norm(f"{name}self_attn_layer_norm", hidden) | _norm(f"{name}final_layer_norm", hidden)


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


_OWNER, _POST_NORM = "facebook/", "facebook/opt-350m"

PUBLISHED = {
    "facebook/opt-125m": Shape(768, 12, 12, 3072, 50272),
    "facebook/opt-1.3b": Shape(2048, 24, 32, 8192, 50272),
    "facebook/opt-2.7b": Shape(2560, 32, 32, 10240, 50272),
    "facebook/opt-6.7b": Shape(4096, 32, 32, 16384, 50272),
    "facebook/opt-13b": Shape(5120, 40, 40, 20480, 50272),
    "facebook/opt-30b": Shape(7168, 48, 56, 28672, 50272),
    "facebook/opt-66b": Shape(9216, 64, 72, 36864, 50272),
}
"""The published sizes (Zhang et al. 2022, table 1), as their config.json has them; each positions 2048."""


def published(name: str) -> Shape:
    """The sizes of a published model; its owner may be left out.

    Raises:
        DraftwiseError: an unknown name, or OPT-350m, whose form is another one.
    """
    full = name if name.startswith(_OWNER) else _OWNER + name
    if full == _POST_NORM:
        raise DraftwiseError(
            f"can't grow to {name!r}: its norms stand behind the blocks and scale the whole stream, which no copy of a "
            f"model with norms in front can undo; choose from: {', '.join(PUBLISHED)}"
        )
    if full not in PUBLISHED:
        raise unknown_name("model to be like", name, PUBLISHED)
    return PUBLISHED[full]


def shape_of(config: Mapping[str, Any], where: str) -> Shape:
    """The sizes that the object of a config.json gives.

    Raises:
        DraftwiseError: it describes no OPT model of the form that can grow.
    """
    wanted = {
        "model_type": "opt",
        "do_layer_norm_before": True,
        "_remove_final_layer_norm": False,
        "enable_bias": True,
        "layer_norm_elementwise_affine": True,
        "tie_word_embeddings": True,
        "word_embed_proj_dim": config.get("hidden_size"),
    }
    for name, value in wanted.items():
        if config.get(name, value) not in (value, None):
            raise DraftwiseError(f"can't grow {where!r}: {name} in its config.json is {config[name]!r}, not {value!r}")
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "ffn_dim", "vocab_size")
    sizes = [config.get(name) for name in (*names, "max_position_embeddings")]
    if not all(type(size) is int and size > 0 for size in sizes):
        raise DraftwiseError(f"can't grow {where!r}: its config.json lacks a size of an OPT model")
    return Shape(*sizes)  # type: ignore[arg-type]


SIZES = ("hidden", "layers", "heads", "ffn", "vocab")
"""What ``wanted_shape`` may be given."""


def wanted_shape(
    small: Shape,
    like: str | None = None,
    *,
    hidden: int | str | None = None,
    layers: int | str | None = None,
    heads: int | str | None = None,
    ffn: int | str | None = None,
    vocab: int | str | None = None,
) -> Shape:
    """The sizes asked for: those of ``like``, else the small model's own, but for what is given.

    Heads and feed-forward follow a given hidden size in proportion, unless they are given as well.

    Args:
        small: the model to grow, which ``"×k"`` (or ``"xk"``) multiplies.
        like: a published model.
        hidden: a number or ``"×k"``, as all that follow.
        layers: blocks.
        heads: attention heads.
        ffn: the feed-forward's inner width.
        vocab: rows of the token table.

    Raises:
        DraftwiseError: a name or size that is of no use, or out of the small model's reach.
    """
    base = small if like is None else published(like)
    wide = _size("hidden", hidden, small.hidden, base.hidden)
    shape = replace(
        base,
        hidden=wide,
        layers=_size("layers", layers, small.layers, base.layers),
        heads=_size("heads", heads, small.heads, max(1, base.heads * wide // base.hidden)),
        ffn=_size("ffn", ffn, small.ffn, base.ffn * wide // base.hidden),
        vocab=_size("vocab", vocab, small.vocab, base.vocab),
        positions=max(base.positions, small.positions) if like is None else base.positions,
    )
    check_reach(small, shape)
    return shape


def _size(name: str, given: int | str | None, small: int, default: int) -> int:
    if given is None:
        return default
    match = re.fullmatch(r"([x×]?)(\d{1,9})", str(given))
    if match is None or int(match[2]) == 0:
        raise DraftwiseError(
            f"{name} must be a whole number from 1 on, or ×k for k times the small one's, not {given!r}"
        )
    return int(match[2]) * (small if match[1] else 1)


def check_reach(small: Shape, big: Shape) -> None:
    """Hold two models' sizes against each other.

    Raises:
        DraftwiseError: the small one can't grow to the big one and keep what it computes; the line says why.
    """
    if big.hidden % small.hidden:
        raise DraftwiseError(
            f"can't widen {small.hidden} to a hidden size of {big.hidden}: a norm is the same over whole copies only; "
            f"give a multiple of {small.hidden}"
        )
    if big.hidden % big.heads:
        raise DraftwiseError(
            f"a hidden size of {big.hidden} can't be divided among {big.heads} heads; give a number that divides it"
        )
    for name in ("layers", "heads", "head_dim", "ffn", "vocab", "positions"):
        if getattr(big, name) < getattr(small, name):
            what = "a head width (hidden / heads)" if name == "head_dim" else name
            raise DraftwiseError(
                f"can't grow {what} of {getattr(small, name)} to {getattr(big, name)}; a model never shrinks"
            )
    if big.layers > MOST_LAYERS:
        raise DraftwiseError(f"can't grow to {big.layers} layers; give {MOST_LAYERS} at most")
    if big.vocab > small.vocab and big.hidden < 3 * small.hidden:
        raise DraftwiseError(
            f"ids beyond {small.vocab} can be kept from winning in a hidden size of {3 * small.hidden} or more, "
            f"not {big.hidden}; leave vocab at {small.vocab} or widen further"
        )
