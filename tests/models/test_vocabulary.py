from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from draftwise import DraftwiseError, Engine
from draftwise.models.vocabulary import limit_vocabulary
from models.tiny_opt import save_tiny_opt, save_tokenizer
from toys import toy

WORDS = 48
METHODS = ("as", "sps", "bild")


def padded(directory: Path, vocab_size: int, seed: int) -> Path:
    """A model with more ids than words, which likes the ids in excess best."""
    save_tiny_opt(directory, seed=seed, vocab_size=vocab_size, tokenizer=False, tie_word_embeddings=False)
    save_tokenizer(directory, WORDS)
    weights = load_file(directory / "model.safetensors")
    head = weights["lm_head.weight"]
    head[WORDS:] = 3 * head[: vocab_size - WORDS]
    save_file(weights, directory / "model.safetensors", {"format": "pt"})
    return directory


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("padded")
    return padded(root / "target", 64, 1), padded(root / "draft", 56, 1)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("method", METHODS)
def test_two_paddings_of_one_vocabulary_work_together_and_no_padding_is_emitted(
    pair: tuple[Path, Path], method: str, temperature: float
) -> None:
    engine = Engine.load(*pair)
    prompts = [[index, 2 * index + 1] for index in range(12)]
    outs = engine.generate(prompts, method=method, temperature=temperature, max_new_tokens=20)
    assert {token for out in outs for token in out.tokens} <= set(range(WORDS))
    if temperature == 0:
        alone = Engine.load(pair[0]).generate(prompts, method="as", max_new_tokens=20)
        assert method == "bild" or [out.tokens for out in outs] == [out.tokens for out in alone]


def test_the_padding_would_be_emitted_if_nothing_kept_it_back(pair: tuple[Path, Path]) -> None:
    engine = Engine.load(pair[0])
    bare = Engine(engine.target.inner)  # type: ignore[attr-defined]
    assert any(token >= WORDS for token in bare.generate([1, 2], method="as").tokens)


def test_an_id_of_the_padding_in_a_prompt_is_outside_the_vocabulary(pair: tuple[Path, Path]) -> None:
    with pytest.raises(DraftwiseError, match=f"{WORDS} is outside the vocabulary; ids run from 0 to {WORDS - 1}"):
        Engine.load(*pair).generate([1, WORDS])


def test_without_a_tokenizer_two_sizes_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DraftwiseError, match="64 vocabulary entries and the draft 56"):
        Engine(Engine.load(pair[0]).target.inner, Engine.load(pair[1]).target.inner)  # type: ignore[attr-defined]


def test_ids_between_the_words_that_no_word_has_are_kept_back_too() -> None:
    model = limit_vocabulary(toy(8), {"a": 0, "b": 2, "c": 3, "far": 70})
    cache = model.new_cache(1, 8)
    logits = model.forward(torch.tensor([[0, 2, 3]]), torch.tensor([0]), cache, span=3, keep=2)
    assert logits.shape == (1, 2, 4)
    assert logits.isinf().any(-1).all() and logits[..., 1].isinf().all() and logits[..., [0, 2, 3]].isfinite().all()


def test_a_model_whose_every_id_is_a_word_is_left_as_it_is() -> None:
    model = toy(8)
    assert limit_vocabulary(model, {str(index): index for index in range(8)}) is model


def test_a_draft_with_too_few_ids_for_the_vocabulary_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    save_tiny_opt(tmp_path, vocab_size=40, tokenizer=False)
    save_tokenizer(tmp_path, WORDS)
    with pytest.raises(DraftwiseError, match="48 vocabulary entries and the draft 40") as raised:
        Engine.load(pair[0], tmp_path)
    assert json.dumps(str(raised.value)).count("\\n") == 0
