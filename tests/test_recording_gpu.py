"""What only a device can show of recorded rounds: graphs replay the loop, wait for nothing and keep a row's bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from draftwise import Engine
from draftwise.compiling import compilations
from draftwise.recording import Recordings

pytestmark = pytest.mark.gpu
if not torch.cuda.is_available():
    pytest.skip("needs a CUDA device", allow_module_level=True)

DTYPES = ["float32", "bfloat16", "float16"]
BACKENDS = ["triton", "plain"]


@pytest.fixture(scope="module", params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=BACKENDS)
def engine(request: pytest.FixtureRequest, dtype: str) -> Iterator[Engine]:
    yield Engine.load("builtin", device="cuda", dtype=dtype, backend=request.param)


def prompts_of(engine: Engine) -> list[list[int]]:
    texts = ("The river", "Translate into German: the old house.", "What is 12 + 7?", "Alice and Bob")
    return [engine.encode(text) for text in texts]


def unrecorded(engine: Engine) -> Engine:
    other = Engine(engine.target, engine.draft, engine.tokenizer, engine.chat_template)
    other._recordings = None
    return other


@pytest.mark.parametrize("method", ["as", "sps", "bild"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("batch", [1, 4])
def test_replayed_rounds_write_what_the_loop_writes(
    engine: Engine, method: str, temperature: float, batch: int
) -> None:
    if engine.target.backend.name == "plain" and temperature > 0:
        pytest.skip("its last bits follow from the shapes of a pass, which the loop changes")
    prompts = prompts_of(engine)[:batch]
    options: dict[str, Any] = {"method": method, "temperature": temperature, "seed": list(range(batch))}
    assert isinstance(engine._recordings, Recordings)
    for limit in (1, 2, 33):
        got = engine.generate(prompts, max_new_tokens=limit, **options)
        right = unrecorded(engine).generate(prompts, max_new_tokens=limit, **options)
        if engine.target.backend.exact:
            assert [item.tokens for item in got] == [item.tokens for item in right]
            assert [item.rounds for item in got] == [item.rounds for item in right]
        assert all(0 < len(item.tokens) <= limit for item in got)


@pytest.mark.parametrize("gamma", range(1, 9))
def test_sps_writes_what_as_writes_to_the_bit(dtype: str, gamma: int) -> None:
    engine = Engine.load("builtin", device="cuda", dtype=dtype, backend="triton")
    prompts = prompts_of(engine)
    plain = [engine.generate(prompt, method="as", max_new_tokens=64).tokens for prompt in prompts]
    assert [item.tokens for item in engine.generate(prompts, method="as", max_new_tokens=64)] == plain
    assert [item.tokens for item in engine.generate(prompts, method="sps", gamma=gamma, max_new_tokens=64)] == plain
    alone = [engine.generate(prompt, method="sps", gamma=gamma, max_new_tokens=64).tokens for prompt in prompts]
    assert alone == plain


def test_a_round_is_recorded_once_and_waits_for_nothing(engine: Engine) -> None:
    prompt = prompts_of(engine)[1]
    engine.generate(prompt, method="sps", max_new_tokens=24)
    before = compilations()
    engine.generate(prompt[1:], method="sps", max_new_tokens=24)
    assert compilations() == before
    engine.generate(prompt, method="sps", gamma=7, max_new_tokens=24)
    assert compilations() == before + 1
    pieces = engine.stream(prompt, method="sps", max_new_tokens=24)
    next(pieces)
    torch.cuda.set_sync_debug_mode("error")  # a wait for an event is none of those that it knows
    try:
        next(pieces)
    finally:
        torch.cuda.set_sync_debug_mode("default")
