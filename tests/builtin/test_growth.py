"""The maths of growth: what is divided sums to the whole, and the sizes are those of the published models."""

from __future__ import annotations

import pytest
import torch
from transformers import OPTConfig, OPTForCausalLM

from draftwise.builtin.growth import copies, divide, grown_tensors, shares
from draftwise.builtin.shapes import PUBLISHED, Shape, check_reach, shape_of, wanted_shape
from draftwise.errors import DraftwiseError

CPU = torch.device("cpu")
SMALL = Shape(hidden=32, layers=2, heads=2, ffn=64, vocab=64, positions=64)
CONFIGS = {  # hidden, layers, heads, ffn of each published config.json, and the parameters that transformers gives it
    "facebook/opt-125m": (768, 12, 12, 3072, 125_239_296),
    "facebook/opt-1.3b": (2048, 24, 32, 8192, 1_315_758_080),
    "facebook/opt-2.7b": (2560, 32, 32, 10240, 2_651_596_800),
    "facebook/opt-6.7b": (4096, 32, 32, 16384, 6_658_473_984),
    "facebook/opt-13b": (5120, 40, 40, 20480, 12_853_473_280),
    "facebook/opt-30b": (7168, 48, 56, 28672, 29_974_540_288),
    "facebook/opt-66b": (9216, 64, 72, 36864, 65_719_701_504),
}


def published_model(name: str) -> OPTForCausalLM:
    hidden, layers, heads, ffn, _ = CONFIGS[name]
    config = OPTConfig(
        vocab_size=50272,
        hidden_size=hidden,
        word_embed_proj_dim=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        ffn_dim=ffn,
        max_position_embeddings=2048,
    )
    with torch.device("meta"):
        return OPTForCausalLM(config)


def test_every_published_size_is_compared() -> None:
    assert CONFIGS.keys() == PUBLISHED.keys()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_tensors_are_those_of_the_published_model(name: str) -> None:
    real = {key: tuple(value.shape) for key, value in published_model(name).named_parameters()}
    assert PUBLISHED[name].tensors() == real
    assert PUBLISHED[name].parameters == CONFIGS[name][-1]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("small", [Shape(256, 8, 4, 1024, 2747), Shape(128, 2, 2, 512, 2747)])
def test_both_shipped_models_reach_every_published_size(name: str, small: Shape) -> None:
    check_reach(small, PUBLISHED[name])


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 10, 28, 36])
def test_shares_are_powers_of_two_that_sum_to_one(count: int) -> None:
    found = shares(count)
    assert len(found) == count and sum(found) == 1.0
    assert {torch.frexp(torch.tensor(share))[0].item() for share in found} == {0.5}
    assert max(found) <= 2 * min(found)


@pytest.mark.parametrize(("small", "big"), [(4, 4), (4, 9), (3, 14), (64, 80)])
def test_the_copies_of_a_unit_share_one(small: int, big: int) -> None:
    units = copies(small, big, CPU)
    sums = torch.zeros(small).index_add_(0, units.source, units.share)
    assert sums.tolist() == [1.0] * small


@pytest.mark.parametrize("count", [1, 3, 10, 16])
def test_a_bfloat16_map_is_divided_exactly(count: int) -> None:
    weight = torch.randn(6, 5).bfloat16().double()
    parts = divide(weight, count, torch.bfloat16).double().view(6, count, 5)
    assert torch.equal(parts.sum(1), weight)


@pytest.mark.parametrize("count", [2, 10, 16])
def test_what_rounding_left_over_is_carried(count: int) -> None:
    weight = torch.randn(50, 40).bfloat16().double() * 2**0.5
    plain = divide(weight, count, torch.bfloat16).double().view(50, count, 40).sum(1)
    carried = divide(weight, count, torch.bfloat16, carry=True).double().view(50, count, 40).sum(1)
    assert ((plain - weight) / weight).abs().max() > 2**-14
    assert ((carried - weight) / weight).abs().max() <= 2**-17


def test_tensors_come_by_the_names_and_shapes_that_were_told() -> None:
    weights = {name: torch.randn(shape) for name, shape in SMALL.tensors().items()}
    big = wanted_shape(SMALL, hidden="×3", layers=5, ffn=150, vocab=70)
    grown = [(name, tuple(tensor.shape)) for name, tensor in grown_tensors(weights, SMALL, big, torch.bfloat16)]
    assert grown == list(big.tensors().items())


def test_heads_and_feed_forward_follow_the_hidden_size() -> None:
    assert wanted_shape(SMALL, hidden="x4") == Shape(128, 2, 8, 256, 64, 64)
    assert wanted_shape(SMALL, hidden=64, heads=2, layers="×3") == Shape(64, 6, 2, 128, 64, 64)
    builtin = Shape(256, 8, 4, 1024, 2747)
    assert wanted_shape(builtin, "opt-6.7b", layers=9) == Shape(4096, 9, 32, 16384, 50272)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"hidden": 40}, ("multiple of 32",)),
        ({"hidden": 16}, ("multiple of 32",)),
        ({"hidden": 64, "heads": 3}, ("3 heads",)),
        ({"hidden": 64, "heads": 8}, ("head width", "16 to 8")),
        ({"layers": 1}, ("layers of 2 to 1",)),
        ({"layers": 99999999}, ("1000 at most",)),
        ({"heads": 1}, ("heads of 2 to 1",)),
        ({"ffn": 63}, ("ffn of 64 to 63",)),
        ({"vocab": 63}, ("vocab of 64 to 63",)),
        ({"hidden": 64, "vocab": 65}, ("96 or more",)),
        ({"layers": "many"}, ("layers must", "'many'")),
        ({"hidden": "x0"}, ("hidden must", "'x0'")),
        ({"like": "gpt-5"}, ("'gpt-5'", *PUBLISHED)),
        ({"like": "facebook/opt-350m"}, ("norms stand behind", *PUBLISHED)),
    ],
)
def test_what_can_not_be_reached_is_said(sizes: dict[str, str | int], words: tuple[str, ...]) -> None:
    with pytest.raises(DraftwiseError) as caught:
        wanted_shape(SMALL, **sizes)  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("key", "value"), [("model_type", "llama"), ("do_layer_norm_before", False), ("tie_word_embeddings", False)]
)
def test_another_form_of_model_is_refused(key: str, value: object) -> None:
    with pytest.raises(DraftwiseError, match=f"can't grow 'here': {key}"):
        shape_of({"model_type": "opt", key: value}, "here")
