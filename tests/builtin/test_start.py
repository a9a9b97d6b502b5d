import pytest
import torch

from draftwise.builtin.recipe import Shape
from draftwise.builtin.start import BACK, prepare

transformers = pytest.importorskip("transformers")

LENGTH = 60


@pytest.fixture
def attentions():
    torch.manual_seed(0)
    model = transformers.OPTForCausalLM(Shape(256, 4, 64, 3).config(200))
    prepare(model)
    model.set_attn_implementation("eager")
    ids = torch.randint(3, 200, (1, LENGTH))
    ids[0, 40:] = ids[0, 10:30]  # a stretch that was seen before
    with torch.inference_mode():
        return [layer[0] for layer in model(input_ids=ids, output_attentions=True).attentions]


def test_the_heads_of_the_first_layer_look_a_fixed_way_back(attentions):
    for head, back in enumerate(BACK):
        looked = attentions[0][head, back:].argmax(-1)
        assert torch.equal(looked, torch.arange(LENGTH - back))


def test_a_match_head_finds_what_followed_the_same_word_before(attentions):
    wanted = torch.arange(11, 30)
    found = attentions[1][0, 40:59].argmax(-1)
    assert (found == wanted).float().mean() > 0.5


def test_the_head_that_matches_twice_finds_what_followed_the_same_two_words(attentions):
    wanted = torch.arange(16, 31)
    found = attentions[1][3, 45:60].argmax(-1)
    assert (found == wanted).float().mean() > 0.8


def test_a_model_of_another_shape_starts_with_waves_only():
    torch.manual_seed(0)
    model = transformers.OPTForCausalLM(Shape(32, 2, 64, 2).config(50))
    before = model.model.decoder.layers[0].self_attn.q_proj.weight.clone()
    prepare(model)
    assert torch.equal(model.model.decoder.layers[0].self_attn.q_proj.weight, before)
    positions = model.model.decoder.embed_positions.weight
    assert positions[:, 16:].abs().max() == 0
    assert positions[:, :16].abs().max() > 0.1
