"""No switch is idle: each one, set wrongly, changes what the model says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_families import CASES, at, close, directory, ids, own, whole

from draftwise.models.checkpoint import Checkpoint
from draftwise.models.families import FAMILIES
from draftwise.models.families.reading import Reader
from draftwise.models.files import read_json
from draftwise.models.own import Architecture, LayerKind, Transformer
from draftwise.models.own.positions import Scaling

Change = Callable[[Architecture], dict[str, Any]]


def kinds(change: Callable[[LayerKind], LayerKind]) -> Change:
    return lambda shape: {"layers": tuple(map(change, shape.layers))}


def values(**changes: Any) -> Change:
    return lambda shape: changes


def unscaled(kind: LayerKind) -> LayerKind:
    assert kind.rotary is not None
    return replace(kind, rotary=replace(kind.rotary, scaling=Scaling()))


def another_theta(kind: LayerKind) -> LayerKind:
    assert kind.rotary is not None
    return replace(kind, rotary=replace(kind.rotary, theta=2 * kind.rotary.theta))


def halved(kind: LayerKind) -> LayerKind:
    assert kind.rotary is not None
    return replace(kind, rotary=replace(kind.rotary, width=kind.rotary.width // 2))


WRONG: dict[str, tuple[str, Change]] = {
    "no rotary positions": ("llama", kinds(lambda kind: LayerKind())),
    "another theta": ("gpt-neox in sequence", kinds(another_theta)),
    "a smaller part turned": ("phi3", kinds(halved)),
    "no llama3 scaling": ("llama grouped", kinds(unscaled)),
    "no yarn": ("llama yarn", kinds(unscaled)),
    "no linear scaling": ("llama linear", kinds(unscaled)),
    "no longrope": ("phi3 longrope", kinds(unscaled)),
    "one theta for all layers": (
        "gemma3 text mixed",
        lambda shape: {"layers": tuple(replace(kind, rotary=shape.layers[0].rotary) for kind in shape.layers)},
    ),
    "no window": ("mistral windowed", kinds(lambda kind: replace(kind, window=None))),
    "a window one wider": ("phi3 windowed", kinds(lambda kind: replace(kind, window=7))),
    "windows in the other layers": ("gemma2", lambda shape: {"layers": shape.layers[1:] + shape.layers[:1]}),
    "another norm": ("gpt2", values(norm="rms")),
    "another eps": ("qwen3", values(norm_eps=1e-2)),
    "norms after": ("opt", values(residual="post")),
    "in sequence": ("gpt-neox", values(residual="pre")),
    "no norms at the ends": ("gemma2", values(residual="pre")),
    "no final norm": ("llama", values(final_norm=False)),
    "another activation": ("llama", values(activation="gelu")),
    "no embedding scale": ("gemma3 text", values(embedding_scale=1.0)),
    "another scale": ("gemma2", values(scales=(0.5,) * 3)),
    "one scale for all layers": ("gpt2 by depth", lambda shape: {"scales": shape.scales[:1] * 3}),
    "no attention cap": ("gemma2 mixed", values(attention_cap=None)),
    "no logit cap": ("gemma3 text mixed", values(logit_cap=None)),
}


def rebuilt(name: str, change: Change) -> Transformer:
    """A case's weights in an architecture that was changed after they were read."""
    config = read_json(directory(name) / "config.json")
    family = FAMILIES[config["model_type"]]
    architecture = family.architecture(config)
    checkpoint = Checkpoint(directory(name), torch.float32, torch.device("cpu"))
    with torch.inference_mode():
        weights = family.read(Reader(architecture, checkpoint))
    checkpoint.expect_none_left()
    return Transformer(replace(architecture, **change(architecture)), weights, ())


@pytest.mark.parametrize(("name", "change"), WRONG.values(), ids=WRONG)
def test_a_wrong_switch_would_be_seen(name: str, change: Change) -> None:
    tokens = ids(2, 24)
    expected = whole(own(name), tokens)
    assert torch.equal(whole(rebuilt(name, values()), tokens), expected)
    assert (whole(rebuilt(name, change), tokens) - expected).abs().max() > 100e-4


def test_a_long_context_takes_no_more_room_than_is_used_of_it() -> None:
    model = rebuilt("llama", values(max_positions=10**12))
    close(whole(model, ids(1, 24), capacity=30), whole(own("llama"), ids(1, 24)))
    close(whole(model, ids(1, 80), capacity=80), whole(own("llama"), ids(1, 80)))


def test_dynamic_frequencies_depend_on_the_position_alone() -> None:
    model, tokens = own("llama dynamic"), ids(1, 80)
    assert model.max_positions == 96
    cache = model.new_cache(1, 96)
    steps = [model.forward(tokens[:, i : i + 1], at(i), cache, span=i + 1, keep=1) for i in range(80)]
    close(torch.cat(steps, 1), whole(model, tokens))


@pytest.mark.parametrize("name", CASES)
def test_keep_says_how_many_positions_get_logits(name: str) -> None:
    model, tokens = own(name), ids(2, 9)
    every = whole(model, tokens)
    for keep in (0, 1, 4):
        some = model.forward(tokens, at(0, 0), model.new_cache(2, 9), span=9, keep=keep)
        assert some.shape == (2, keep, model.vocab_size)
        close(some, every[:, 9 - keep :])


@pytest.mark.parametrize("name", ["opt", "llama grouped", "gemma3 text"])
def test_a_row_is_the_same_to_the_last_bit_whatever_its_neighbours_hold(name: str) -> None:
    tokens, other = ids(3, 20), ids(3, 20, seed=8)
    other[1] = tokens[1]
    assert torch.equal(whole(own(name), tokens)[1], whole(own(name), other)[1])


def test_a_pass_leaves_its_arguments_alone() -> None:
    tokens, starts, model = ids(1, 20), at(0), own("llama")
    model.forward(tokens, starts, model.new_cache(1, 64), span=20, keep=1)
    assert torch.equal(tokens, ids(1, 20)) and torch.equal(starts, at(0))
