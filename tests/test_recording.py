"""Recorded rounds on a stand-in for a device that records: the very driver that a GPU has, held to the plain loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from draftwise import Engine, recording
from draftwise.generation import Generation
from draftwise.recording import CudaRecorder, Recordings, Step
from toys import Toy, cousin, toy

PROMPTS = [[5, 7, 2], [7, 1], [1, 2, 3, 4, 5, 6], [3, 0]]
LENGTH = 6


class StandIn:
    """Replays by running the round again, over tensors that stay where they are; counts what it is asked for."""

    def __init__(self) -> None:
        self.recorded = self.replayed = self.fetched = 0

    def record(self, step: Callable[[], Step]) -> Callable[[], Step]:
        self.recorded += 1
        kept: list[Step] = []

        def replay() -> Step:
            self.replayed += 1
            result = step()
            if not kept:
                kept.append(result)
            assert kept[0].columns.shape == result.columns.shape, "a round's shapes changed"
            kept[0].logits.copy_(result.logits)
            kept[0].columns.copy_(result.columns)
            return kept[0]

        return replay

    def fetch(self, columns: Tensor) -> Callable[[], list[list[int]]]:
        self.fetched += 1
        landed = columns.clone()
        return lambda: landed.tolist()


def recorded(plain: Engine) -> tuple[Engine, StandIn]:
    engine, stand_in = Engine(plain.target, plain.draft), StandIn()
    engine._recordings = Recordings(stand_in)
    return engine, stand_in


def pair(share: float = 0.7, **more: Any) -> Engine:
    target = toy(16, seed=1, max_positions=2048, **more)
    return Engine(target, cousin(target, share))


def facts(answers: list[Generation]) -> list[tuple[Any, ...]]:
    return [(answer.tokens, answer.finish_reason, answer.rounds) for answer in answers]


OPTIONS: dict[str, list[dict[str, Any]]] = {
    "as": [{}],
    "sps": [{"gamma": gamma} for gamma in range(1, 9)],
    "bild": [{"fallback_threshold": 0.4, "max_draft_tokens": most} for most in range(1, 9)],
}


@pytest.mark.parametrize("method", OPTIONS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("batch", [1, 4])
def test_recorded_rounds_write_what_the_loop_writes(method: str, temperature: float, batch: int) -> None:
    """Ids, ends and accounts, over γ × (a stop token at each offset, the length limit at each offset)."""
    plain = pair()
    engine, stand_in = recorded(plain)
    prompts = PROMPTS[:batch]
    whole = plain.generate(prompts, method="as", max_new_tokens=LENGTH, temperature=temperature)[0].tokens
    ends: list[dict[str, Any]] = [{"max_new_tokens": limit} for limit in range(1, LENGTH + 1)]
    ends += [{"max_new_tokens": LENGTH, "stop_token_ids": [token]} for token in (whole[0], whole[2], whole[-1])]
    for options in OPTIONS[method]:
        for end in ends:
            more = {"method": method, "temperature": temperature, "seed": list(range(batch)), **options, **end}
            assert facts(engine.generate(prompts, **more)) == facts(plain.generate(prompts, **more))
    assert stand_in.replayed > 0


@pytest.mark.parametrize("method", ["as", "sps", "bild"])
def test_a_recording_serves_later_answers(method: str) -> None:
    plain = pair()
    engine, stand_in = recorded(plain)
    for prompt in ([5, 7, 2], [1, 2], [9], list(range(16)) * 3, [4, 4]):
        for seed in (0, 3):
            options = {"method": method, "temperature": 1.0, "seed": seed, "max_new_tokens": 30}
            assert facts([engine.generate(prompt, **options)]) == facts([plain.generate(prompt, **options)])
    assert stand_in.recorded == 1


def test_a_longer_text_takes_a_larger_recording_which_then_serves_shorter_ones() -> None:
    plain = pair()
    engine, stand_in = recorded(plain)
    for length, made in ((10, 1), (600, 2), (20, 2), (900, 2), (1500, 3)):
        engine.generate([1] * length, method="sps", max_new_tokens=12)
        assert stand_in.recorded == made


def test_more_kinds_than_are_kept_push_out_the_one_that_was_used_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_KEPT", 2)
    engine, stand_in = recorded(pair())
    for gamma, made in ((1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4)):
        engine.generate([1, 2], method="sps", gamma=gamma, max_new_tokens=12)
        assert stand_in.recorded == made


def test_the_host_reads_a_round_behind_the_start_of_the_next() -> None:
    engine, stand_in = recorded(pair())
    pieces = engine.stream([1, 2, 3], method="as", max_new_tokens=5)
    ahead = []
    for done, _ in enumerate(pieces, 1):
        ahead.append(stand_in.fetched - done)
    assert ahead == [1, 1, 1, 1, 0]  # behind the last round that the limit leaves room for none is begun


def test_a_stream_that_is_left_early_harms_no_later_answer() -> None:
    plain = pair()
    engine, _ = recorded(plain)
    next(engine.stream([1, 2, 3], method="sps", max_new_tokens=20))
    options = {"method": "sps", "max_new_tokens": 20}
    assert engine.generate([4, 5], **options).tokens == plain.generate([4, 5], **options).tokens


def test_a_draft_whose_context_is_shorter_pauses_row_by_row() -> None:
    target = toy(16, seed=1, max_positions=2048)
    draft = cousin(target, 0.9)
    draft.max_positions = 12
    plain = Engine(target, draft)
    engine, _ = recorded(plain)
    for prompts in ([[5, 7, 2], [1] * 10, [2] * 11, [3] * 30], [[6] * 40, [4] * 13, [5] * 20, [1] * 12], PROMPTS):
        for method in ("sps", "bild"):
            options = {"method": method, "max_new_tokens": 16, "fallback_threshold": 0.2}
            assert facts(engine.generate(prompts, **options)) == facts(plain.generate(prompts, **options))


def test_logits_that_are_no_numbers_are_an_error() -> None:
    target = toy(16, seed=1, max_positions=2048)
    target.table[:] = torch.nan
    engine, _ = recorded(Engine(target))
    with pytest.raises(ValueError, match="not numbers"):
        engine.generate([1, 2], method="as", max_new_tokens=4)


def test_an_observed_answer_is_not_recorded() -> None:
    engine, stand_in = recorded(pair())
    engine.trace([1, 2, 3], method="sps", max_new_tokens=9)
    assert stand_in.recorded == stand_in.fetched == 0


def test_a_cpu_and_models_that_are_not_our_own_record_nothing() -> None:
    assert pair()._recordings is None
    other = Toy(toy(16).table, implementation="transformers", device=torch.device("cuda"))
    assert recording.recordings_for(other, None) is None
    own = Toy(toy(16).table, device=torch.device("cuda"))
    assert recording.recordings_for(own, Toy(own.table)) is None  # on another device
    made = recording.recordings_for(own, own)
    assert made is not None and isinstance(made.recorder, CudaRecorder)
