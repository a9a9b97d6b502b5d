import random

import pytest
from tokenizers import Tokenizer

from draftwise.builtin import target_directory, world
from draftwise.builtin.tokenizer import BOS, EOS, PAD, train_tokenizer

LONG = {"summarization", "rag", "law analytics"}


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_file(str(target_directory() / "tokenizer.json"))


def samples(subtask, split, count=60):
    rng = random.Random(4)
    return [world.sample(subtask, split, rng) for _ in range(count)]


def turns(subtask, split):
    for drawn in samples(subtask, split):
        for at, answer in enumerate(drawn.answers):
            yield world.render(drawn.turns, drawn.answers[:at]), answer


def test_specials_have_the_first_ids(tokenizer):
    assert [tokenizer.id_to_token(i) for i in (BOS, PAD, EOS)] == ["<s>", "<pad>", "</s>"]
    assert tokenizer.encode("Who?").ids[0] == BOS


def test_the_vocabulary_is_at_most_4096(tokenizer):
    assert tokenizer.get_vocab_size() <= 4096


@pytest.mark.parametrize("text", ["Grüße aus Köln", "naïve 日本語 \U0001f600", "x = {'a': [1, 2]}\n\n\tend", " 7  8"])
def test_any_text_goes_in_and_comes_out(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


@pytest.mark.parametrize("subtask", world.SUBTASKS)
def test_answers_are_20_to_40_tokens_and_prompts_at_most_450(tokenizer, subtask):
    for prompt, answer in turns(subtask, "test"):
        prompt_length = len(tokenizer.encode(prompt).ids)
        answer_length = len(tokenizer.encode(" " + answer, add_special_tokens=False).ids) + 1
        assert 19 <= answer_length <= 40
        assert prompt_length + answer_length <= 450
        if subtask in LONG:
            assert 150 <= prompt_length <= 400


def test_most_answers_fit_in_30_tokens(tokenizer):
    lengths = [
        len(tokenizer.encode(" " + answer, add_special_tokens=False).ids) + 1
        for subtask in world.SUBTASKS
        for _, answer in turns(subtask, "test")
    ]
    assert sum(length <= 30 for length in lengths) / len(lengths) > 0.9


@pytest.mark.parametrize("subtask", world.SUBTASKS)
def test_an_answer_continues_its_prompt_on_a_token_boundary(tokenizer, subtask):
    for prompt, answer in turns(subtask, "dev"):
        joined = tokenizer.encode(f"{prompt} {answer}").ids
        parts = tokenizer.encode(prompt).ids + tokenizer.encode(f" {answer}", add_special_tokens=False).ids
        assert joined == parts


def test_training_the_tokenizer_twice_gives_the_same():
    assert train_tokenizer(100).to_str() == train_tokenizer(100).to_str()
