"""Native rounds against the loop that they stand for, token by token and round by round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_opt import save_tiny_opt

from draftwise import running
from draftwise.engine import Engine
from draftwise.errors import DraftwiseError
from draftwise.generation import Generation
from draftwise.models.loading import load_model
from draftwise.models.vocabulary import limit_vocabulary
from draftwise.tasks.packaged import read_builtin

pytestmark = pytest.mark.usefixtures("native")

PROMPTS = [[5, 9, 33, 2, 17], [40, 3], [12, 12, 30, 8, 1, 22, 6], [19]]
SETTINGS: list[dict[str, Any]] = [
    *({"method": "as", "max_new_tokens": count} for count in (1, 2, 25)),
    *({"method": "sps", "gamma": gamma} for gamma in range(1, 9)),
    *({"method": "sps", "max_new_tokens": count} for count in range(1, 8)),
    {"method": "sps", "ignore_eos": True, "max_new_tokens": 40},
    *({"method": "sps", "ignore_eos": True, "stop_token_ids": (token,)} for token in range(0, 48, 3)),
    *({"method": "bild", "fallback_threshold": low, "rollback_threshold": high, "max_draft_tokens": 6}
      for low in (0.0, 0.1, 0.3, 1.0) for high in (0.0, 2.0, 100.0)),
]  # fmt: skip


@pytest.fixture(scope="module")
def engine(opt_pair: tuple[Path, Path]) -> Engine:
    return Engine.load(*opt_pair)


def both(engine: Engine, prompts: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Any, Any]:
    """Answers of native rounds, and of the loop."""
    calls: list[bool] = []
    fused = running.run_fused
    monkeypatch.setattr(running, "run_fused", lambda *given: calls.append(True) or fused(*given))
    ours = engine.generate(prompts, **options)
    assert calls == [True], "these rounds were to be native"
    monkeypatch.setattr(running, "can_fuse", lambda *given, **named: False)
    return ours, engine.generate(prompts, **options)


def told(answer: Generation) -> tuple[Any, ...]:
    return answer.tokens, answer.rounds, answer.finish_reason


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("batch", [1, 4])
def test_rounds_are_those_of_the_loop(
    engine: Engine, settings: dict[str, Any], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, loop = both(engine, PROMPTS[:batch], monkeypatch, **settings)
    assert [told(answer) for answer in ours] == [told(answer) for answer in loop]


@pytest.mark.parametrize("method", ["sps", "bild"])
def test_drafts_that_stand_in_part(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Engine.load()
    prompts = [pair.encode(prompt.turns[0]) for prompt in read_builtin()[::27]]
    ours, loop = both(pair, prompts, monkeypatch, method=method)
    assert [told(answer) for answer in ours] == [told(answer) for answer in loop]
    assert {new.accepted for answer in ours for new in answer.rounds} >= {0, 1, 2, 3, 4}


@pytest.mark.parametrize("method", ["as", "sps", "bild"])
def test_ids_without_a_token_are_never_written(
    engine: Engine, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = engine.generate(PROMPTS, method=method, ignore_eos=True, max_new_tokens=40)
    gone = {token for answer in plain for token in answer.tokens[:3]} | {47}
    vocabulary = {str(token): token for token in range(46) if token not in gone}
    assert engine.draft is not None
    limited = Engine(limit_vocabulary(engine.target, vocabulary), limit_vocabulary(engine.draft, vocabulary))
    ours, loop = both(limited, PROMPTS, monkeypatch, method=method, max_new_tokens=40)
    assert [told(answer) for answer in ours] == [told(answer) for answer in loop]
    assert all(not gone & set(answer.tokens) for answer in ours)


def test_a_draft_with_a_shorter_context_pauses(opt_pair: tuple[Path, Path], tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    shape = {"vocab_size": 48, "tie_word_embeddings": False, "eos_token_id": 47, "init_std": 0.6}
    short = save_tiny_opt(tmp_path / "short", seed=4, hidden=8, layers=1, ffn=16, max_position_embeddings=12, **shape)
    pair = Engine.load(opt_pair[0], short)
    for prompts in (PROMPTS[:1], PROMPTS[:3], [list(range(20))], [list(range(20)), PROMPTS[0]]):
        ours, loop = both(pair, prompts, monkeypatch, method="sps", ignore_eos=True, max_new_tokens=20)
        assert [told(answer) for answer in ours] == [told(answer) for answer in loop]
        fits = any(len(prompt) < 12 for prompt in prompts)
        assert any(new.drafted for answer in ours for new in answer.rounds) == fits
        monkeypatch.undo()


def test_logits_that_are_no_numbers_are_told(opt_pair: tuple[Path, Path]) -> None:
    target = load_model(opt_pair[0])
    with torch.inference_mode():
        target._layout._kept[0].fill_(float("nan"))  # a norm's scale
    with pytest.raises(DraftwiseError, match="not numbers"):
        Engine(target).generate(PROMPTS[0], method="as")


def test_a_trace_shows_the_parts_of_native_rounds(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = engine.trace(PROMPTS[0], method="sps", gamma=3, max_new_tokens=20)
    assert len(trace.rounds) == len(trace.generation.rounds)
    for span, new in zip(trace.rounds, trace.generation.rounds, strict=True):
        assert len(span.draft) == new.drafted == span.draft_passes
        assert min(span[2:]) >= 0 and span.verify_ns > 0 and (span.draft_ns > 0 or not new.drafted)
    monkeypatch.setattr(running, "can_fuse", lambda *given, **named: False)
    loop = engine.trace(PROMPTS[0], method="sps", gamma=3, max_new_tokens=20)
    assert [span.draft for span in loop.rounds] == [span.draft for span in trace.rounds]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_what_isn_t_greedy_runs_in_the_loop(opt_pair: tuple[Path, Path], dtype: str) -> None:
    """A temperature so low that it draws the most likely token: the two ways meet."""
    pair = Engine.load(*opt_pair, dtype=dtype)
    greedy, drawn = (pair.generate(PROMPTS, temperature=value, max_new_tokens=40) for value in (0.0, 1e-6))
    assert [answer.tokens for answer in greedy] == [answer.tokens for answer in drawn]
    assert torch.get_num_threads() >= 1
