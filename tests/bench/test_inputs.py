"""What becomes of prompts before anything is timed: taken in, left out, cut, or told in a chat template's form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes import FakeEngine, models, prompts

from draftwise.bench import BenchSettings
from draftwise.bench.environment import describe_prompts
from draftwise.bench.inputs import Inputs, Refused, Truncated, make_inputs, messages
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions
from draftwise.tasks import Prompt


def taken(engine: FakeEngine, asked: list[Prompt] | None = None, **settings: Any) -> Inputs:
    chosen = BenchSettings(suite="small", decoding=DecodingOptions(max_new_tokens=4), **settings)
    return make_inputs(engine, chosen, prompts() if asked is None else asked, lambda label: None)  # type: ignore[arg-type]


def question(text: str, name: str = "q") -> Prompt:
    return Prompt(name, "qa", (text,))


def test_a_prompt_too_long_for_the_target_is_left_out_and_told() -> None:
    inputs = taken(FakeEngine(context=14), [question("0123456789"), question("01234567890", "long")])
    assert list(inputs.ids) == [("q", 0)]
    assert inputs.refused == [Refused("long", 0, 11, 10)] and inputs.truncated == []


def test_a_conversation_whose_second_turn_is_too_long_is_left_out_whole() -> None:
    engine = FakeEngine(context=20)
    inputs = taken(engine)
    assert [item[:2] for item in inputs.refused] == [("chat-0", 1), ("chat-1", 1)]
    assert list(inputs.ids) == [("qa-0", 0), ("qa-1", 0), ("qa-2", 0)]


def test_no_answer_is_decoded_for_a_conversation_that_is_left_out_already() -> None:
    engine = FakeEngine(context=20)
    chat = Prompt("chat", "multi-turn", ("x" * 17, "And then?"))
    inputs = taken(engine, [chat, question("short")])
    assert engine.calls == [] and inputs.refused == [Refused("chat", 0, 17, 16)]


def test_a_prompt_without_tokens_is_left_out() -> None:
    inputs = taken(FakeEngine(), [question(""), question("x", "other")])
    assert inputs.refused == [Refused("q", 0, 0, 396)] and list(inputs.ids) == [("other", 0)]


def test_if_none_is_left_that_is_an_error() -> None:
    with pytest.raises(DraftwiseError, match=r"none of 1 prompts.*'q', turn 1, of 11 tokens.*takes 1 to 10 beside 4"):
        taken(FakeEngine(context=14), [question("01234567890")])


def test_the_front_is_cut_where_that_is_asked_for() -> None:
    inputs = taken(FakeEngine(context=14), [question("0123456789abc")], truncate="left")
    assert bytes(inputs.ids[("q", 0)]) == b"3456789abc"
    assert inputs.truncated == [Truncated("q", 0, 13, 3)] and inputs.refused == []


def test_a_special_first_token_outlives_the_cut() -> None:
    inputs = taken(FakeEngine(context=14), [question("<123456789abc")], truncate="left")
    assert bytes(inputs.ids[("q", 0)]) == b"<456789abc"
    assert inputs.truncated == [Truncated("q", 0, 13, 3)]


def test_where_new_tokens_leave_no_room_a_cut_does_not_help() -> None:
    with pytest.raises(DraftwiseError, match="alone fill the target's context"):
        taken(FakeEngine(context=4), [question("abc")], truncate="left")


def test_without_a_chat_template_the_history_is_raw() -> None:
    inputs = taken(FakeEngine(), prompts()[:1])
    assert bytes(inputs.ids[("chat-0", 1)]).startswith(b"Hello 0 answer ")
    assert bytes(inputs.ids[("chat-0", 1)]).endswith(b"\nAnd then?")


def test_a_chat_template_gets_turns_and_stripped_answers_as_messages() -> None:
    inputs = taken(FakeEngine(chat_template="a template"), prompts()[:1])
    assert bytes(inputs.ids[("chat-0", 0)]) == b"<user>Hello 0"
    second = bytes(inputs.ids[("chat-0", 1)]).decode()
    assert second.startswith("<user>Hello 0<assistant>answer ") and second.endswith("<user>And then?")


def test_messages_take_turns() -> None:
    said = messages(["a", "b", "c"], [" one ", "two\n"])
    assert [item["role"] for item in said] == ["user", "assistant", "user", "assistant", "user"]
    assert [item["content"] for item in said] == ["a", "one", "b", "two", "c"]


def test_prompts_that_outgrow_a_drafts_context_are_counted_for_that_draft() -> None:
    small, large = FakeEngine(), FakeEngine()
    small.draft.max_positions = 12
    settings = BenchSettings(suite="small", draft="a", decoding=DecodingOptions(max_new_tokens=4))
    asked = [question("012345678"), question("01234567", "fits")]
    inputs = make_inputs(small, settings, asked, lambda label: None)  # type: ignore[arg-type]
    found = describe_prompts(models(None, a=small, b=large), settings, asked, inputs)
    assert found["outgrown"] == {"a": {"prompts": 1, "context": 12}}
    assert (found["prompts"], found["refused"], found["truncated"]) == (2, [], [])
    encoder = replace(small, draft=type(small.draft)(max_positions=12, start_token_id=0))
    assert describe_prompts(models(None, a=encoder), settings, asked, inputs)["outgrown"] == {}
