"""A draft whose context ends before the target's does: it pauses there, row by row, and plain decoding carries on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from draftwise import Engine
from draftwise.models.loading import load_model
from models.tiny_opt import save_tiny_opt
from toys import Toy, cousin, toy

SHORT = 12
PROMPTS = [[5, 7, 2], [1, 2, 3, 4, 5, 6, 7, 1, 2, 3], [3] * (SHORT - 1), [4] * SHORT, [6] * (SHORT + 1), [2] * 20]


def toys(share: float = 0.8) -> tuple[Toy, Toy]:
    target = toy(8, seed=1)
    draft = cousin(target, share)
    draft.max_positions = SHORT
    return target, draft


@pytest.mark.parametrize("gamma", [1, 2, 4, 7])
@pytest.mark.parametrize("share", [0.0, 0.8, 1.0])
def test_the_answers_are_plain_decodings_in_a_batch_and_alone(gamma: int, share: float) -> None:
    engine = Engine(*toys(share))
    plain = [out.tokens for out in engine.generate(PROMPTS, method="as", max_new_tokens=16)]
    assert [out.tokens for out in engine.generate(PROMPTS, method="sps", gamma=gamma, max_new_tokens=16)] == plain
    for prompt, tokens in zip(PROMPTS, plain, strict=True):
        assert engine.generate(prompt, method="sps", gamma=gamma, max_new_tokens=16).tokens == tokens


@pytest.mark.parametrize("method", ["sps", "bild"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_is_drafted_for_as_long_as_the_drafts_context_holds_it_and_no_longer(
    method: str, temperature: float
) -> None:
    engine = Engine(*toys(1.0))
    options = {"gamma": 4, "fallback_threshold": 0.0, "max_draft_tokens": 4, "temperature": temperature}
    for prompt, out in zip(
        PROMPTS, engine.generate(PROMPTS, method=method, max_new_tokens=16, **options), strict=True
    ):
        length, left = len(prompt), 16
        for item in out.rounds:
            assert item.drafted == max(0, min(4, left - 1, SHORT + 1 - length))
            length, left = length + item.emitted, left - item.emitted


def test_a_draft_that_no_prompt_fits_never_runs() -> None:
    target, draft = toys()
    out = Engine(target, draft).generate([[2] * 20, [6] * (SHORT + 1)], method="sps", max_new_tokens=8)
    assert draft.capacities == draft.passes == draft.fills == []
    assert [item.acceptance_length for item in out] == [1.0, 1.0]


def test_a_draft_is_filled_with_no_more_than_its_context_and_a_prompt_chunk_by_chunk() -> None:
    target, draft = toys()
    Engine(target, draft).generate(PROMPTS, method="sps", max_new_tokens=2, prefill_chunk=5)
    assert target.fills == [5, 5, 5, 4]
    assert draft.fills == [5, 5, 2]


@pytest.fixture(scope="module")
def opt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("opt")
    return (
        save_tiny_opt(root / "long", seed=1, vocab_size=24, max_position_embeddings=96),
        save_tiny_opt(root / "short", seed=1, vocab_size=24, max_position_embeddings=24),
    )


@pytest.mark.parametrize("chunk", [1, 7, 512])
def test_a_real_model_pauses_too_and_fills_in_any_chunks(opt: tuple[Path, Path], chunk: int) -> None:
    engine = Engine(*(load_model(directory) for directory in opt))
    prompts = [[3, 5, 7], [1] * 30, list(range(22)), [9, 8] * 20]
    options = {"max_new_tokens": 40, "ignore_eos": True, "prefill_chunk": chunk}
    plain = [out.tokens for out in engine.generate(prompts, method="as", max_new_tokens=40, ignore_eos=True)]
    together = engine.generate(prompts, method="sps", **options)
    assert [out.tokens for out in together] == plain
    assert together[0].rounds[0].drafted == 4
    assert together[0].rounds[-1].drafted == together[1].rounds[0].drafted == 0
    for prompt, tokens in zip(prompts, plain, strict=True):
        assert engine.generate(prompt, method="sps", **options).tokens == tokens


def test_a_draft_of_another_type_serves(opt: tuple[Path, Path]) -> None:
    engine = Engine.load(opt[0], opt[0], draft_dtype="bfloat16")
    assert (engine.target.dtype, engine.draft and engine.draft.dtype) == (torch.float32, torch.bfloat16)
    for prompt in ([3, 5, 7], [1] * 30):
        assert engine.generate(prompt, method="sps").tokens == engine.generate(prompt, method="as").tokens
