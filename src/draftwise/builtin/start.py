"""How an untrained model starts: with heads that look back and heads that match, so that look-ups are learnt soon.

A model of a few million parameters needs many millions of tokens to find, by itself, the pair of heads that looks a
value up in its context (Olsson et al. 2022, "In-context learning and induction heads"). Here the pair is there from
the first step, in the spirit of mimetic initialization (Trockman & Kolter 2023), and training is free to change it:

- Positions begin as waves in the first `d` dimensions of the stream, so looking a fixed way back is one linear map.
- Words begin in the next dimensions; the last ones are left free for what the look-back heads write.
- The heads of layer 0 look 1, 2, 4 and 5 tokens back and write what stands there, each in a place of its own.
- The heads of layers 1 and 2 attend where what stands some way back of the key equals what stands some way back of
  the query. After "the trade of Ada Bell is" the last of them finds the token that is preceded, at the same
  distances, by both "trade" and "Bell". What they find they add to the prediction.

What is prepared in this way learns slowly; everything else is as free as ever.
"""

import math
from typing import Any

import torch
from torch import Tensor

MATCHING = 3  # layers 1 and 2 hold match heads
BACK = (1, 2, 4, 5)  # tokens, one for each head of layer 0
_CONTENT = 24  # dimensions in which a word is told from another
_POSITION_SCALE = 0.2
_WORD_SCALE = 0.08
_LOOK, _MATCH, _WRITE, _COPY = 1.0, 1.7, 0.2, 0.25
_GOLDEN = (math.sqrt(5) - 1) / 2


def _rates(count: int) -> Tensor:
    """Return angular rates spread evenly but irregularly over (0, pi), so that no two near positions look alike."""
    return math.pi * (((torch.arange(count) + 0.5) * _GOLDEN) % 1.0)


def _waves(positions: int, width: int, head: int) -> Tensor:
    """Return the start of the position embeddings [positions, width]; only the first `head` dimensions are used."""
    angles = torch.arange(positions).unsqueeze(1) * _rates(head // 2)
    waves = torch.zeros(positions, width)
    waves[:, :head] = _POSITION_SCALE * torch.cat([angles.sin(), angles.cos()], dim=1)
    return waves


def _look_back(back: int, width: int, head: int) -> tuple[Tensor, Tensor]:
    """Return query and key maps [d, D] with which a position attends to the one `back` before it."""
    angle = back * _rates(head // 2)
    sin, cos = torch.diag(angle.sin()), torch.diag(angle.cos())
    query, key = torch.zeros(head, width), torch.zeros(head, width)
    query[:, :head] = torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)])
    key[:, :head] = torch.eye(head)
    return _LOOK * query, _LOOK * key


def _pick(start: int, width: int) -> Tensor:
    """Return the map [_CONTENT, D] that reads the dimensions from `start`."""
    pick = torch.zeros(_CONTENT, width)
    pick[:, start : start + _CONTENT] = torch.eye(_CONTENT)
    return pick


def _matches(word: Tensor, written: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return query and key maps of the four match heads; the last asks for two matches at once."""
    first, second, fourth, fifth = written
    both = torch.cat([first, fourth]), torch.cat([second, fifth])
    return [(2 * word, first), (first, second), (fourth, fifth), both]


def _set(projection: Tensor, at: int, rows: Tensor) -> None:
    projection[at : at + len(rows)] = rows


@torch.no_grad()
def prepare(model: Any) -> None:
    """Set the start of a `transformers` OPT model in place; look-backs and matches need four heads of 64."""
    decoder, width = model.model.decoder, model.config.hidden_size
    heads = model.config.num_attention_heads
    head = width // heads
    for layer in decoder.layers:  # what isn't prepared adds nothing at first, so that it drowns nothing
        layer.self_attn.out_proj.weight.zero_()
        layer.fc2.weight.zero_()
    positions = decoder.embed_positions.weight
    positions.copy_(_waves(len(positions), width, head))
    if (heads, head) != (len(BACK), 64):
        return
    places = width - heads * _CONTENT
    decoder.embed_tokens.weight.zero_()
    decoder.embed_tokens.weight[:, head:places].normal_(0.0, _WORD_SCALE)
    mixed = torch.linalg.qr(torch.randn(places - head, _CONTENT)).Q.T
    word = torch.cat([torch.zeros(_CONTENT, head), mixed, torch.zeros(_CONTENT, width - places)], dim=1)
    written = [_pick(places + i * _CONTENT, width) for i in range(heads)]
    first = decoder.layers[0].self_attn
    for i, back in enumerate(BACK):
        query, key = _look_back(back, width, head)
        _set(first.q_proj.weight, i * head, query)
        _set(first.k_proj.weight, i * head, key)
        _set(first.v_proj.weight, i * head, word)
        first.out_proj.weight[:, i * head : i * head + _CONTENT] = _WRITE * written[i].T
    for layer in decoder.layers[1:MATCHING]:
        for i, (query, key) in enumerate(_matches(word, written)):
            _set(layer.self_attn.q_proj.weight, i * head, _MATCH * query)
            _set(layer.self_attn.k_proj.weight, i * head, _MATCH * key)
            copy = torch.zeros(head, width)
            copy[:, head:places] = torch.linalg.qr(torch.randn(places - head, head)).Q.T
            _set(layer.self_attn.v_proj.weight, i * head, copy)
            layer.self_attn.out_proj.weight[:, i * head : (i + 1) * head] = _COPY * copy.T


def prepared(name: str) -> bool:
    """Say whether a parameter holds a start that a fast learning rate would wash away before it is of use."""
    queries = any(f"layers.{i}.self_attn.{kind}_proj.weight" in name for i in range(MATCHING) for kind in "qk")
    return queries or "embed_positions" in name or "layers.0.self_attn.v_proj.weight" in name
