import dataclasses

import pytest
import torch

from draftwise.builtin import measure, world
from draftwise.builtin.batches import Line, encode, grouped, pad
from draftwise.builtin.recipe import RECIPES, Phase, Recipe, Shape
from draftwise.builtin.tokenizer import BOS, EOS, PAD, train_tokenizer

pytest.importorskip("transformers")

TOY = Recipe(
    Shape(32, 2, 64, 2),
    (Phase(80, {"math_reasoning": 1.0, "grammar correction": 1.0}),),
    steps=80,
    decay=40,
    seed=1,
    lines=12,
    workers=1,
    warm_up=5,
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(200)


def losses(recipe, tokenizer):
    from draftwise.builtin.trainer import new_model, train

    model = new_model(recipe, tokenizer.get_vocab_size())
    return model, [progress.loss for progress in train(model, tokenizer, recipe)]


@pytest.mark.parametrize("toy", [TOY, dataclasses.replace(TOY, shape=Shape(16, 2, 32, 1), seed=2)])
def test_a_toy_pair_learns(tokenizer, toy):
    _, curve = losses(toy, tokenizer)
    assert sum(curve[-5:]) < 0.75 * sum(curve[:5])


def test_training_is_reproduced_by_its_seed(tokenizer):
    short = dataclasses.replace(TOY, steps=3)
    (one, first), (two, second) = losses(short, tokenizer), losses(short, tokenizer)
    assert first == second
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_another_seed_trains_another_model(tokenizer):
    short = dataclasses.replace(TOY, steps=3)
    assert losses(short, tokenizer)[1] != losses(dataclasses.replace(short, seed=9), tokenizer)[1]


def test_a_saved_model_loads_in_bfloat16_with_the_right_special_ids(tokenizer, tmp_path):
    from transformers import OPTForCausalLM

    from draftwise.builtin.train import save
    from draftwise.builtin.trainer import new_model

    model = new_model(TOY, tokenizer.get_vocab_size())
    save(model, tokenizer, tmp_path)
    again = OPTForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert again.dtype == torch.bfloat16
    assert (again.config.bos_token_id, again.config.pad_token_id, again.config.eos_token_id) == (BOS, PAD, EOS)
    assert again.config.vocab_size == tokenizer.get_vocab_size()
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_padding_and_turns_carry_no_loss_and_answers_do(tokenizer):
    line = encode(tokenizer, ["How many?"], ["Tamo has 7 nuts."], 0.0)
    answer = len(tokenizer.encode(" Tamo has 7 nuts.", add_special_tokens=False).ids)
    assert sum(line.weights) == answer + 1
    assert line.ids[0] == BOS and line.ids[-1] == EOS
    batch = pad([line, Line([BOS, EOS], [0.0, 1.0])])
    assert (batch.ids[1, 2:] == PAD).all() and not batch.weights[1, 2:].any()


def test_lines_are_grouped_with_the_least_padding():
    lines = [Line([0] * length, [1.0] * length) for length in (100, 3, 3, 100, 4)]
    assert sorted(tuple(batch.ids.shape) for batch in grouped(lines, 2)) == [(2, 100), (3, 4)]
    assert [tuple(batch.ids.shape) for batch in grouped(lines, 1)] == [(5, 100)]


def test_the_learning_rate_rises_stays_and_falls_to_nothing():
    scales = [TOY.scale(step) for step in range(TOY.steps)]
    assert scales[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert scales[5:41] == [1.0] * 36
    assert scales[-1] == pytest.approx(1 / 40)


def test_recipes_train_on_known_subtasks_only():
    for recipe in RECIPES.values():
        for phase in recipe.phases:
            assert set(phase.mix) <= {*world.SUBTASKS, *world.DRILLS}
            assert {name for name in world.SUBTASKS if name not in ("rag",)} <= set(phase.mix)


def test_exactness_counts_answers_and_tokens(tokenizer):
    class Parrot:
        def __init__(self, wrong_row):
            self.wrong_row = wrong_row

        def __call__(self, input_ids, use_cache):
            following = torch.roll(full.ids, -1, dims=1)[:, :-1].clone()
            if self.wrong_row is not None:
                following[self.wrong_row] = PAD
            logits = torch.nn.functional.one_hot(following, tokenizer.get_vocab_size()).float()
            return type("Output", (), {"logits": logits})()

    full = measure.held_out(tokenizer, "math_reasoning", "dev", 8)[0]
    rows = len(full.ids)
    assert measure.exactness(Parrot(None), [full]) == (1.0, 1.0)
    assert measure.exactness(Parrot(0), [full]).answers == pytest.approx(1 - 1 / rows)
