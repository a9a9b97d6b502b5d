"""Adapted models in the engine: encoder–decoders, and pairs in which the two forward passes differ in origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from tiny_opt import save_tiny_opt, save_tokenizer
from tiny_transformers import VOCABULARY, reference, save_tiny

from draftwise import Engine
from draftwise.errors import DraftwiseError
from draftwise.models.loading import load_model

END = VOCABULARY - 1
PROMPTS = [[5, 9, 33, 7, 12, 40, 8, 21, 30], [17], [50, 6, 6, 19]]
LENGTH = 24


class Setting(NamedTuple):
    engine: Engine
    reference: Any


@pytest.fixture(scope="module", params=["t5 gated untied", "t5 plain tied", "bart"])
def translator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    directory = save_tiny(tmp_path_factory.mktemp("target"), request.param)
    small = {"d_ff": 16, "num_layers": 1} if "t5" in request.param else {"decoder_layers": 1, "decoder_ffn_dim": 16}
    draft = save_tiny(tmp_path_factory.mktemp("draft"), request.param, **small)
    return Setting(Engine(load_model(directory), load_model(draft)), reference(directory))


def generated(model: Any, prompt: list[int], **settings: Any) -> list[int]:
    """What transformers writes after its start token, or after the prompt."""
    tokens = torch.tensor([prompt])
    settings = {"do_sample": False, "max_new_tokens": LENGTH, "pad_token_id": 0} | settings
    answer: list[int] = model.generate(tokens, attention_mask=torch.ones_like(tokens), **settings)[0].tolist()
    return answer[1:] if model.config.is_encoder_decoder else answer[len(prompt) :]


def test_plain_decoding_writes_what_transformers_writes(translator: Setting) -> None:
    answers = translator.engine.generate(PROMPTS, method="as", max_new_tokens=LENGTH)
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        assert list(answer.tokens) == generated(translator.reference, prompt, eos_token_id=END)


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_a_prompt_s_answer_is_the_same_alone_and_in_a_batch(translator: Setting, temperature: float) -> None:
    settings = {"max_new_tokens": 12, "temperature": temperature}
    together = translator.engine.generate(PROMPTS, seed=3, **settings)
    for prompt, answer in zip(PROMPTS, together, strict=True):
        assert translator.engine.generate(prompt, seed=3, **settings).tokens == answer.tokens


def test_speculation_changes_no_greedy_answer_of_an_encoder_decoder(translator: Setting) -> None:
    settings = {"max_new_tokens": LENGTH, "ignore_eos": True}
    plain = translator.engine.generate(PROMPTS, method="as", **settings)
    drafted = translator.engine.generate(PROMPTS, method="sps", gamma=4, **settings)
    assert [answer.tokens for answer in plain] == [answer.tokens for answer in drafted]
    assert all(sum(r.drafted for r in answer.rounds) > len(answer.rounds) for answer in drafted)


def test_bild_decodes_with_encoder_decoders(translator: Setting) -> None:
    answer = translator.engine.generate(PROMPTS[0], method="bild", max_new_tokens=LENGTH, ignore_eos=True)
    assert len(answer.tokens) == LENGTH


def test_an_encoder_decoder_as_its_own_draft_is_always_right(tmp_path: Path) -> None:
    model = load_model(save_tiny(tmp_path, "t5 gated untied"))
    answer = Engine(model, model).generate(PROMPTS[0], gamma=3, max_new_tokens=LENGTH, ignore_eos=True)
    assert sum(r.accepted for r in answer.rounds) == sum(r.drafted for r in answer.rounds)


def test_an_encoder_decoder_and_a_decoder_make_no_pair(tmp_path: Path) -> None:
    target = load_model(save_tiny(tmp_path / "target", "t5 gated untied"))
    draft = load_model(save_tiny(tmp_path / "draft", "stablelm"))
    with pytest.raises(DraftwiseError, match="encoder-decoder"):
        Engine(target, draft)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    opt = save_tiny_opt(tmp_path_factory.mktemp("opt"), tokenizer=False, tie_word_embeddings=False)
    return opt, save_tiny(tmp_path_factory.mktemp("adapted"), "stablelm", max_position_embeddings=64)


@pytest.mark.parametrize("swapped", [False, True])
def test_own_and_adapted_models_draft_for_each_other(mixed: tuple[Path, Path], swapped: bool) -> None:
    target, draft = (load_model(directory) for directory in (mixed[::-1] if swapped else mixed))
    assert {target.implementation, draft.implementation} == {"own", "transformers"}
    engine = Engine(target, draft)
    settings = {"max_new_tokens": LENGTH, "ignore_eos": True}
    plain = engine.generate(PROMPTS, method="as", **settings)
    drafted = engine.generate(PROMPTS, method="sps", gamma=3, **settings)
    assert [answer.tokens for answer in plain] == [answer.tokens for answer in drafted]
    model = reference(mixed[1] if swapped else mixed[0])
    for prompt, answer in zip(PROMPTS, plain, strict=True):
        assert list(answer.tokens) == generated(model, prompt, eos_token_id=None)


@pytest.mark.parametrize("name", ["mistral windowed", "mixtral", "bloom"])
def test_speculation_changes_no_greedy_answer_of_an_adapted_model(name: str, tmp_path: Path) -> None:
    target = load_model(save_tiny(tmp_path / "target", name), implementation="transformers")
    draft = load_model(save_tiny(tmp_path / "draft", name, seed=9), implementation="transformers")
    engine = Engine(target, draft)
    settings = {"max_new_tokens": LENGTH, "ignore_eos": True}
    plain = engine.generate(PROMPTS, method="as", **settings)
    drafted = engine.generate(PROMPTS, method="sps", gamma=5, **settings)
    assert [answer.tokens for answer in plain] == [answer.tokens for answer in drafted]


def test_our_own_pass_and_the_adapter_write_the_same(mixed: tuple[Path, Path]) -> None:
    own, adapted = (load_model(mixed[0], implementation=name) for name in ("own", "transformers"))
    settings = {"method": "as", "max_new_tokens": LENGTH, "ignore_eos": True}
    first, second = (Engine(model).generate(PROMPTS, **settings) for model in (own, adapted))
    assert [answer.tokens for answer in first] == [answer.tokens for answer in second]


@pytest.mark.parametrize("name", ["t5 gated untied", "bloom"])
def test_texts_go_in_and_come_out(name: str, tmp_path: Path) -> None:
    for place, seed in (("target", 10), ("draft", 11)):
        save_tokenizer(save_tiny(tmp_path / place, name, seed=seed), VOCABULARY)
    engine = Engine.load(tmp_path / "target", tmp_path / "draft")
    plain, drafted = (engine.generate("w5 w9 w33", method=method, max_new_tokens=LENGTH) for method in ("as", "sps"))
    assert plain.tokens == drafted.tokens
    assert plain.text == " ".join(f"w{token}" for token in plain.tokens if token != END)


def test_a_prompt_longer_than_the_encoder_reads_is_refused(tmp_path: Path) -> None:
    engine = Engine(load_model(save_tiny(tmp_path, "bart", max_position_embeddings=16)))
    with pytest.raises(DraftwiseError, match="17 tokens"):
        engine.generate([5] * 17, method="as", max_new_tokens=4)


def test_a_draft_whose_encoder_cannot_hold_a_prompt_pauses_for_that_row(tmp_path: Path) -> None:
    target = load_model(save_tiny(tmp_path / "target", "bart"))
    draft = load_model(save_tiny(tmp_path / "draft", "bart", max_position_embeddings=16))
    engine, prompts = Engine(target, draft), [[7] * 40, [5, 9, 33]]
    settings = {"max_new_tokens": 12, "ignore_eos": True}
    plain = engine.generate(prompts, method="as", **settings)
    drafted = engine.generate(prompts, method="sps", gamma=3, **settings)
    assert [answer.tokens for answer in drafted] == [answer.tokens for answer in plain]
    assert {item.drafted for item in drafted[0].rounds} == {0}
    assert drafted[1].rounds[0].drafted == 3
    assert engine.generate(prompts[0], method="sps", **settings).tokens == plain[0].tokens
