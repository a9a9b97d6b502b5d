"""Rule 8: the same prompts, limits and end-of-text rule for every method; incomplete groups leave the pairing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bed import METHODS, PROMPTS, TASKS, Reader, bench, reader, settings, summary_of, warnings_of

from draftwise.analysis.run import load_run
from draftwise.analysis.summary import summarize
from draftwise.bench.records import read_samples
from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt
from toys import toy


def ending(kind: type[Reader] = Reader) -> Reader:
    """An engine whose first answers end, for its stop token is one that they hold."""
    answer = reader().generate(list(b"Hello"), method="as", max_new_tokens=12)
    return reader(kind, toy(128, seed=1, eos_token_ids=(answer.tokens[5],), max_positions=256))


def asked(engine: Reader) -> dict[str, set[tuple[tuple[int, ...], str]]]:
    """The prompts and options that each method was timed with."""
    found: dict[str, set[tuple[tuple[int, ...], str]]] = {}
    for call in engine.calls[-TASKS * 3 * 3 :]:
        found.setdefault(call.method, set()).add((call.ids, repr(sorted(call.options.items()))))
    return found


def test_every_method_is_asked_alike(tmp_path: Path) -> None:
    engine = reader()
    bench(engine, tmp_path)
    found = asked(engine)
    assert found["as"] == found["as*"] == found["sps"] and len(found["as"]) == TASKS


def test_every_method_ends_by_the_same_rule(tmp_path: Path) -> None:
    """At the stop token or at the limit, with every method alike."""
    engine = ending()
    bench(engine, tmp_path, settings(max_new_tokens=40))
    lengths = {
        method: {(s.prompt_id, s.turn): len(s.new_tokens) for s in read_samples(tmp_path) if s.method == method}
        for method in METHODS
    }
    assert lengths["as"] == lengths["as*"] == lengths["sps"]
    (stop,) = engine.target.eos_token_ids
    ends = [call.answer.tokens for call in engine.calls if call.method == "sps" and stop in call.answer.tokens]
    assert ends and all(tokens.index(stop) == len(tokens) - 1 for tokens in ends)
    assert summary_of(tmp_path)["overall"]["sps"]["agreement"] == 1


class Cheat(Reader):
    """Planted: speculative sampling is asked otherwise."""

    more: dict[str, Any] = {}

    def generate(self, prompt: Any, *, method: str = "sps", seed: Any = 0, **options: Any) -> Any:
        return super().generate(prompt, method=method, seed=seed, **options | (self.more if method == "sps" else {}))

    def trace(self, prompt: Any, *, method: str = "sps", seed: int = 0, **options: Any) -> Any:
        return super().trace(prompt, method=method, seed=seed, **options | (self.more if method == "sps" else {}))


class ShorterLimit(Cheat):
    more = {"max_new_tokens": 6}


class NoEnd(Cheat):
    more = {"ignore_eos": True}


class StopsAtAnything(Cheat):
    more = {"stop_token_ids": tuple(range(60, 128))}


@pytest.mark.parametrize("kind", [ShorterLimit, NoEnd, StopsAtAnything])
def test_planted_a_method_that_stops_by_another_rule_is_said(kind: type[Reader], tmp_path: Path) -> None:
    engine = ending(kind)
    bench(engine, tmp_path, settings(max_new_tokens=40))
    assert asked(engine)["sps"] != asked(engine)["as"]
    assert summary_of(tmp_path)["overall"]["sps"]["agreement"] < 1
    assert "SPS should give the tokens of AS, and does on" in warnings_of(tmp_path)


class LongerLimit(Cheat):
    more = {"max_new_tokens": 20}


def test_planted_an_answer_beyond_the_limit_is_refused_in_the_check_pass(tmp_path: Path) -> None:
    bench(reader(LongerLimit), tmp_path)
    with pytest.raises(DraftwiseError, match="the check of 'chat', turn 0, with 'sps' contradicts itself"):
        summary_of(tmp_path)


class LongerWhenTimed(Reader):
    """Planted: longer answers in the timed passes alone, where a long answer's first pass weighs less."""

    def generate(self, prompt: Any, *, method: str = "sps", seed: Any = 0, **options: Any) -> Any:
        if method == "sps" and any(call.kind == "trace" for call in self.calls):
            options["max_new_tokens"] += 8
        return super().generate(prompt, method=method, seed=seed, **options)


def test_planted_longer_answers_in_the_timed_passes_alone_count_for_nothing(tmp_path: Path) -> None:
    bench(reader(LongerWhenTimed), tmp_path)
    found = summary_of(tmp_path)
    assert found["overall"]["sps"]["invalid"] == found["invalid_count"] > 0
    assert "20 new tokens, and the limit is 12" in warnings_of(tmp_path)


class OtherWhenTimed(Reader):
    """Planted: other text in the timed passes than in the check pass."""

    def generate(self, prompt: Any, *, method: str = "sps", seed: Any = 0, **options: Any) -> Any:
        if method == "sps" and any(call.kind == "trace" for call in self.calls):
            prompt = [*prompt[:-1], ord("!")]
        return super().generate(prompt, method=method, seed=seed, **options)


def test_planted_timed_answers_that_are_not_the_checked_ones_are_said(tmp_path: Path) -> None:
    bench(reader(OtherWhenTimed), tmp_path)
    assert "differ from those of the check pass" in warnings_of(tmp_path)


def test_incomplete_groups_leave_the_pairing_and_are_counted(tmp_path: Path) -> None:
    bench(reader(), tmp_path)
    path = tmp_path / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    samples = list(read_samples(tmp_path))
    lost = next(place for place, item in enumerate(samples) if (item.method, item.prompt_id) == ("as", "who"))
    path.write_bytes(b"".join(lines[:lost] + lines[lost + 1 :]))
    found = summarize(load_run(tmp_path))
    assert found["overall"]["sps"]["unpaired"] == found["overall"]["as*"]["unpaired"] == 1
    assert found["overall"]["sps"]["samples"] == len([item for item in samples if item.method == "sps"])
    assert "1 sample of AS or SPS without a partner left out of its speed-up." in found["warnings"]


def test_a_prompt_is_left_out_for_all_methods_or_for_none(tmp_path: Path) -> None:
    """The target holds 256 tokens: one question and its answer are too long for it."""
    long = Prompt("long", "qa", ("Why? " * 60,), ("Because",))
    bench(reader(), tmp_path, prompts=(*PROMPTS, long))
    met = {(item.method, item.prompt_id) for item in read_samples(tmp_path)}
    assert met == {(method, prompt.id) for method in METHODS for prompt in PROMPTS}
    assert "1 of 4 prompts left out; the first is 'long'" in warnings_of(tmp_path)
