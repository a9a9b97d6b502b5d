"""Rule 9: what cannot be is refused: no rate of nothing, none above what memory allows, no total below its parts.

The experiment that this project starts from printed 29,904,890 tokens a second: it counted prompts as answers.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bed import Reader, bench, reader, settings, summary_of, warnings_of
from paired_runs import make_run
from synthetic import questions as prompts_of
from synthetic import sample, timed

from draftwise import Generation
from draftwise.analysis.run import RunData
from draftwise.analysis.summary import summarize
from draftwise.bench.records import Sample, read_samples
from draftwise.errors import DraftwiseError
from draftwise.generation import Generation as Answer
from draftwise.tasks import Prompt
from toys import toy

SEEDS_RATE = 29_904_890
"""Tokens a second, as the seed's experiment printed them."""


class CountsPrompts(Reader):
    """Planted: the prompt's tokens are counted as generated."""

    def generate(self, prompt: Any, *, method: str = "sps", seed: Any = 0, **options: Any) -> Any:
        answer: Generation = super().generate(prompt, method=method, seed=seed, **options)
        return replace(answer, tokens=(*prompt, *answer.tokens))


def test_planted_prompts_counted_as_answers_are_no_samples(tmp_path: Path) -> None:
    bench(reader(CountsPrompts), tmp_path, settings(max_new_tokens=12))
    found = summary_of(tmp_path)
    assert found["invalid_count"] == found["samples"] > 0
    assert all(cell["tokens_per_second"] is None for cell in found["overall"].values())
    assert f"{found['samples']} invalid samples counted for nothing" in warnings_of(tmp_path)


def test_planted_a_prompt_counted_within_the_limit_is_caught_by_the_passes(tmp_path: Path) -> None:
    """The limit is wide enough for both; plain decoding needs a pass for each token, and says that it had fewer."""
    hello = list(b"Hello")
    stop = reader().generate(hello, method="as", max_new_tokens=12).tokens[5]
    engine = reader(CountsPrompts, toy(128, seed=1, eos_token_ids=(stop,), max_positions=256))
    passes = len(engine.generate(hello, method="as", max_new_tokens=60).rounds)
    chosen = settings(("as", "as*"), max_new_tokens=60)
    bench(engine, tmp_path, chosen, [Prompt("hello", "qa", ("Hello",), ("Hi",))])
    found = summary_of(tmp_path)
    reason = f"{passes} target passes for {passes + len(hello)} new tokens of plain decoding"
    assert [item["reason"] for item in found["invalid"]] == [reason] * 6
    assert found["overall"]["as"]["tokens_per_second"] is None


def test_new_tokens_are_counted_from_ids_and_never_hold_the_prompt(tmp_path: Path) -> None:
    engine = reader()
    bench(engine, tmp_path)
    for item in read_samples(tmp_path):
        assert 1 <= len(item.new_tokens) <= 12
    answers: list[Answer] = [call.answer for call in engine.calls]
    assert all(len(answer.tokens) == sum(one.emitted for one in answer.rounds) for answer in answers)


def run_of(*samples: Sample, **environment: Any) -> RunData:
    return make_run(samples, prompts_of(1), **environment)


def test_planted_an_answer_of_nothing_is_no_rate() -> None:
    found = summarize(run_of(sample(tokens=()), sample(method="sps", tokens=())))
    assert [item["reason"] for item in found["invalid"]] == ["no new tokens", "no new tokens"]
    figures = found["overall"]["sps"]
    assert figures["tokens_per_second"] is figures["speedup"] is figures["verdict"] is None


def test_planted_a_total_below_its_parts_is_no_sample() -> None:

    spoilt = msgspec.structs.replace(sample(), total_ns=sample().decode_ns)
    found = summarize(run_of(spoilt, sample(method="sps")))
    assert [item["reason"] for item in found["invalid"]] == ["the total time is shorter than its parts"]


@pytest.mark.parametrize("method", ["as", "sps"])
def test_planted_the_seeds_rate_is_refused(method: str) -> None:
    """20 tokens in well under a microsecond, where memory takes a millisecond for a pass."""
    samples = timed({"as": 1.0, "sps": 1.6}, 8, 3, 0)

    fast = [
        msgspec.structs.replace(
            item,
            decode_ns=round(len(item.new_tokens) / SEEDS_RATE * 1e9),
            ttft_ns=item.prefill_ns + 1,
        )
        if item.method == method
        else item
        for item in samples
    ]
    with pytest.raises(DraftwiseError, match=rf"^{method}: 29,\d\d\d,\d\d\d tokens/s cannot be, memory read at"):
        summarize(make_run(fast, prompts_of(8)))


def test_a_rate_that_memory_allows_is_reported_and_twice_that_is_not() -> None:
    """30 GB/s over 30 MB a pass are 1,000 passes a second, and 2,000 tokens at two tokens a pass."""

    def found(milliseconds: float) -> dict[str, Any]:
        samples = [
            sample(f"qa-{n}", method, repeat=repeat, decode_ms=own, prefill_ms=1)
            for n in range(4)
            for repeat in range(3)
            for method, own in (("as", 40.0), ("sps", milliseconds))
        ]
        return summarize(make_run(samples, prompts_of(4)))

    assert found(10.5)["overall"]["sps"]["tokens_per_second"] == pytest.approx(20 / 0.0105)
    with pytest.raises(DraftwiseError, match="sps: 4,000 tokens/s cannot be"):
        found(5.0)
