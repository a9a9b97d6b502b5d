from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from harness import Pair, Run

from draftwise import Engine
from draftwise.cli.generate import _marked
from draftwise.decoding.types import Round
from draftwise.generation import Piece


@pytest.fixture(scope="module")
def engine(pair: Pair) -> Engine:
    return Engine.load(pair.target, pair.draft)


@pytest.mark.parametrize("method", ["as", "sps", "bild"])
def test_stdout_is_the_answer_and_nothing_else(run: Run, pair: Pair, engine: Engine, method: str) -> None:
    outcome = run("generate", "Hello", *pair.options, "--method", method, "--max-new-tokens", 12)
    assert outcome.code == 0
    assert outcome.out == engine.generate("Hello", method=method, max_new_tokens=12).text.lstrip() + "\n"


def test_options_reach_the_engine(run: Run, pair: Pair, engine: Engine) -> None:
    options = {"temperature": 1.0, "seed": 7, "top_k": 50, "gamma": 2, "max_new_tokens": 20}
    arguments = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    wanted = engine.generate("Hello", method="sps", ignore_eos=True, **options).text
    assert run("generate", "Hello", *pair.options, *arguments, "--ignore-eos").out == wanted.lstrip() + "\n"


def test_a_stop_id_ends_the_answer(run: Run, pair: Pair, engine: Engine) -> None:
    stop = engine.generate("Hello", method="as").tokens[4]
    outcome = run("generate", "Hello", *pair.options, "--stop-id", 255, "--stop-id", stop)
    assert "(stop)" in outcome.err


def test_closes_with_speed_and_acceptance_on_stderr(run: Run, pair: Pair, engine: Engine) -> None:
    outcome = run("generate", "Hello", *pair.options, "--max-new-tokens", 9)
    length = engine.generate("Hello", method="sps", max_new_tokens=9).acceptance_length
    closing = outcome.err.splitlines()[-1]
    assert re.fullmatch(
        rf"9 tokens \(length\), decode [\d.]+ tokens/sec, acceptance length {length:.2f}, rate [\d.]+", closing
    )


def test_a_dash_reads_the_prompt_from_stdin(run: Run, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Gr\xc3\xbc\xc3\x9fe\n")))
    assert run("generate", "-", *pair.options).out == run("generate", "Grüße", *pair.options).out


@pytest.mark.parametrize("given", [b"", b"\n"])
def test_an_empty_stdin_is_an_empty_prompt(run: Run, pair: Pair, monkeypatch: pytest.MonkeyPatch, given: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    run("generate", "-", *pair.options).refused_with("empty")


def test_stdin_that_is_no_text_is_refused(run: Run, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe")))
    run("generate", "-", *pair.options).refused_with("UTF-8")


def test_show_drafts_marks_in_brackets_where_there_are_no_colours(run: Run, pair: Pair) -> None:
    # A draft that is the target itself is accepted whole; the target then writes one token a round.
    same = ("--target", pair.target, "--draft", pair.target, "--gamma", 3, "--max-new-tokens", 8)
    outcome = run("generate", "Hello", *same, "--show-drafts")
    assert outcome.err.splitlines()[1] == "[drafted and accepted] written by the target"
    assert "\x1b" not in outcome.out
    assert "[" in outcome.out


def test_the_marked_text_without_its_marks_is_the_answer(run: Run, pair: Pair) -> None:
    plain = run("generate", "Hello", *pair.options, "--method", "bild")
    marked = run("generate", "Hello", *pair.options, "--method", "bild", "--show-drafts")
    assert re.sub(r"[\[\]]", "", marked.out) == re.sub(r"[\[\]]", "", plain.out)


def as_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")


def test_show_drafts_colours_on_a_terminal(run: Run, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    as_terminal(monkeypatch)
    monkeypatch.delenv("NO_COLOR", raising=False)
    same = ("--target", pair.target, "--draft", pair.target)
    assert "\x1b[" in run("generate", "Hello", *same, "--show-drafts").out


def test_no_color_is_obeyed_on_a_terminal(run: Run, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    as_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    same = ("--target", pair.target, "--draft", pair.target)
    assert "\x1b" not in run("generate", "Hello", *same, "--show-drafts").out


def test_a_character_cut_between_draft_and_target_is_shown_once_it_is_whole() -> None:
    def decode(ids: list[int]) -> str:
        return bytes(ids).decode("utf-8", "replace")

    def pieces() -> Iterator[Piece]:
        first, second = "aü".encode(), b"b"
        yield Piece("aü", tuple(first), Round(drafted=4, accepted=2, emitted=3))
        done = SimpleNamespace(text="aüb")
        yield Piece("b", tuple(second), Round(drafted=1, accepted=1, emitted=1), done)  # type: ignore[arg-type]

    parts = [(text, drafted) for text, drafted, _ in _marked(pieces(), decode) if text]
    assert parts == [("a", True), ("ü", False), ("b", True)]
