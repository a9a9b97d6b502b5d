"""Which answers the page carries, and how it writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import page_runs
import pytest
from page_runs import Shape

from draftwise.bench.records import Check, RoundTrace
from draftwise.report.page import answers
from draftwise.report.page.answers import browser_payload, make_room
from draftwise.report.page.cells import cell_views


def carried(shape: Shape) -> dict[str, Any]:
    run, summary = page_runs.make_run(shape)
    return browser_payload(run, cell_views(summary), list(summary["subtasks"]))


def spent(draft: tuple[int, ...], accepted: int, emitted: int) -> RoundTrace:
    return RoundTrace(draft, accepted, emitted, len(draft), 1, 1, 1, 1, 1)


def check(method: str, tokens: tuple[int, ...], rounds: tuple[RoundTrace, ...] = ()) -> Check:
    pieces = tuple(f" {token}" for token in tokens)
    return Check(
        prompt_id="qa-000",
        subtask="qa",
        turn=0,
        method=method,
        seed=0,
        prompt_tokens=3,
        new_tokens=tokens,
        pieces=pieces,
        finish_reason="length",
        text="".join(pieces),
        score=None,
        rounds=rounds,
    )


def answers_of(*checks: Check) -> list[dict[str, Any]]:
    run, summary = page_runs.make_run(Shape(subtasks=("qa",), prompts=1))
    found = browser_payload(replace(run, groups=(list(checks),)), cell_views(summary), ["qa"])
    return found["tasks"][0]["answers"]


def test_every_prompt_of_a_default_run_is_carried_in_the_suites_order() -> None:
    found = carried(Shape())
    assert len(found["tasks"]) == found["total"] == 160
    assert [task["part"] for task in found["tasks"]] == sorted(task["part"] for task in found["tasks"])


def test_an_answer_with_the_baselines_tokens_is_written_once() -> None:
    plain, same = answers_of(check("as", (5, 6)), check("sps", (5, 6), (spent((5,), 1, 2),)))
    assert plain["pieces"] == (" 5", " 6")
    assert "pieces" not in same and "differs" not in same
    assert same["rounds"] == [1, 1, 2]


@pytest.mark.parametrize(("own", "place"), [((5, 9, 7), 1), ((5, 6), 2), ((5, 6, 7, 8), 3), ((9,), 0)])
def test_the_first_difference_is_a_token_or_where_the_shorter_one_ends(own: tuple[int, ...], place: int) -> None:
    assert answers_of(check("as", (5, 6, 7)), check("bild", own))[1]["differs"] == place


def test_guesses_behind_a_text_s_end_did_not_fall() -> None:
    rounds = (spent((5, 8, 8), 1, 2), spent((7, 8, 8), 1, 1))
    found = answers_of(check("as", (5, 6, 7)), check("sps", (5, 6, 7), rounds))[1]
    assert found["rejected"] == [8, 8]


def test_the_text_of_a_fallen_guess_is_known_where_all_answers_wrote_it_alike() -> None:
    pieces = answers.Pieces()
    pieces.learn([check("as", (5, 6, 5))])
    assert pieces.of({5, 6, 7}) == {"5": " 5", "6": " 6"}
    pieces.learn([msgspec.structs.replace(check("as", (6,)), pieces=("six",))])
    assert pieces.of({5, 6}) == {"5": " 5"}


def test_answers_beyond_the_budget_are_left_out_evenly_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "BUDGET", 80_000)
    found = carried(Shape(prompts=40))
    size = len(json.dumps(found["tasks"]).encode())
    counts = [sum(task["part"] == part for task in found["tasks"]) for part in range(1, 9)]
    assert size < 90_000
    assert found["total"] == 320
    assert min(counts) >= 3 and max(counts) < 40
    assert max(counts) <= min(counts) + 3


def test_the_stream_of_checks_is_left_as_soon_as_nothing_more_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "BUDGET", 10_000)
    run, summary = page_runs.make_run(Shape(subtasks=("qa",), prompts=200, repeats=1))
    taken: list[str] = []

    def groups() -> Any:
        for group in run.groups:
            taken.append(group[0].prompt_id)
            yield group

    lazy = SimpleNamespace(prompts=run.prompts, check_groups=groups)
    found = browser_payload(lazy, cell_views(summary), ["qa"])  # type: ignore[arg-type]
    assert 0 < len(found["tasks"]) < len(taken) < 50


def test_long_answers_and_prompts_are_cut_where_many_cells_share_the_room() -> None:
    assert make_room(8, 4).tokens > 500
    assert make_room(8, 24).tokens < 110
    assert make_room(1000, 24).tokens == answers.SHORTEST
    assert make_room(1, 1).tokens == answers.LONGEST
