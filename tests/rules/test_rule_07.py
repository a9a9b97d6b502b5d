"""Rule 7: a second turn's prompt is the same for all methods: plain decoding's first answer is the history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bed import PROMPTS, Reader, bench, reader, summary_of, warnings_of

from draftwise.analysis.run import load_run
from draftwise.bench.records import Sample, read_samples, to_line
from draftwise.errors import DraftwiseError
from draftwise.tasks import history

CHAT = PROMPTS[0]


def inputs_of(engine: Reader) -> dict[str, set[tuple[int, ...]]]:
    """The prompts that each method met, warm-ups and checks included."""
    found: dict[str, set[tuple[int, ...]]] = {}
    for call in engine.calls[1:]:
        found.setdefault(call.method, set()).add(call.ids)
    return found


def check_one_history(engine: Reader) -> None:
    first, met = engine.calls[0], inputs_of(engine)
    assert (first.kind, first.method) == ("generate", "as")
    second = tuple(engine.encode(history(CHAT.turns, [first.answer.text])))
    assert all(second in prompts for prompts in met.values())
    assert len({frozenset(prompts) for prompts in met.values()}) == 1


def test_every_method_meets_plain_decodings_first_answer_as_history(tmp_path: Path) -> None:
    engine = reader()
    bench(engine, tmp_path)
    check_one_history(engine)
    assert {item.prompt_tokens for item in read_samples(tmp_path) if (item.prompt_id, item.turn) == ("chat", 1)} == {
        len(history(CHAT.turns, [engine.calls[0].answer.text]))
    }


class OwnHistory(Reader):
    """Planted: speculative sampling goes on from an answer of its own, that differs from plain decoding's."""

    def generate(self, prompt: Any, *, method: str = "sps", seed: Any = 0, **options: Any) -> Any:
        return super().generate(own(prompt, method), method=method, seed=seed, **options)

    def trace(self, prompt: Any, *, method: str = "sps", seed: int = 0, **options: Any) -> Any:
        return super().trace(own(prompt, method), method=method, seed=seed, **options)


def own(prompt: list[int], method: str) -> list[int]:
    later = bytes(prompt).decode("ascii").endswith(CHAT.turns[1])
    return [*prompt[:-1], ord("!")] if method == "sps" and later else prompt


def test_planted_a_history_of_each_methods_own_is_caught(tmp_path: Path) -> None:
    engine = reader(OwnHistory)
    bench(engine, tmp_path)
    with pytest.raises(AssertionError):
        check_one_history(engine)
    figures = summary_of(tmp_path)["overall"]["sps"]
    assert figures["agreement"] < 1
    assert "SPS should give the tokens of AS, and does on" in warnings_of(tmp_path)


def rewrite(directory: Path, change: Callable[[Sample], Sample]) -> None:
    samples = [change(item) for item in read_samples(directory)]
    (directory / "records.jsonl").write_bytes(b"".join(map(to_line, samples)))


@pytest.mark.parametrize("field", ["prompt_tokens", "seed"])
def test_planted_samples_of_one_turn_that_met_other_prompts_are_refused(field: str, tmp_path: Path) -> None:
    bench(reader(), tmp_path)

    def longer(item: Sample) -> Sample:
        other = item.method == "sps" and item.turn == 1
        return msgspec.structs.replace(item, **{field: getattr(item, field) + 1}) if other else item

    rewrite(tmp_path, longer)
    with pytest.raises(DraftwiseError, match=r"prompt 'chat', turn 1, has .*cells that met other prompts can't be"):
        load_run(tmp_path)
