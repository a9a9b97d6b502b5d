from __future__ import annotations

from typing import Any

import msgspec
import pytest
from paired_runs import answers, make_run
from synthetic import cell, check, questions, settings, timed

from draftwise.analysis.summary import summarize
from draftwise.bench.settings import Axis


def notes(
    speeds: dict[str, float],
    repeats: int = 3,
    noise: float = 0.02,
    scatter: float = 0.1,
    seed: int = 0,
    **environment: Any,
) -> str:
    """The warnings of a run whose answers are all right."""
    samples, prompts, labels = timed(speeds, 60, repeats, seed, noise, scatter=scatter), questions(60), tuple(speeds)
    groups = answers(prompts, labels, score=1.0)
    run = make_run(samples, prompts, labels=labels, repeats=repeats, groups=groups, environment=environment)
    return "\n".join(summarize(run)["warnings"])


def test_a_clean_run_has_nothing_to_warn_of() -> None:
    assert notes({"as": 1, "as*": 1, "sps": 2}) == ""


def test_a_difference_within_its_interval_is_called_noise() -> None:
    assert "SPS: the difference from AS is noise" in notes({"as": 1, "sps": 1.001})


def test_too_few_repeats_are_named() -> None:
    assert "2 repeats may not show" in notes({"as": 1, "sps": 2}, repeats=2)


def test_a_wide_interval_asks_for_the_repeats_that_would_do() -> None:
    assert "wider than ±5%; about" in notes({"as": 1, "sps": 2}, noise=0.4, scatter=0.0, seed=3)
    assert "wider than ±5%; more prompts would" in notes({"as": 1, "sps": 2}, noise=0.4)


def test_with_sessions_more_of_them_may_be_what_is_needed() -> None:
    samples, prompts = timed({"as": 1, "sps": 2}, 60, 3, 0, sessions=3, mood=0.1, scatter=0.0), questions(60)
    run = make_run(samples, prompts, repeats=3, sessions=3)
    assert "more prompts or sessions would narrow it, more repeats alone may not" in "\n".join(
        summarize(run)["warnings"]
    )


def test_a_single_repeat_can_not_tell_what_more_would_do() -> None:
    found = notes({"as": 1, "sps": 2}, repeats=1, noise=0.4, scatter=0.0)
    assert "more prompts would narrow it, and a single repeat can't tell whether more repeats would." in found


def test_an_agreement_that_lacks_little_is_not_rounded_to_all() -> None:
    samples, prompts = timed({"as": 1, "sps": 2}, 3000, 1, 0), questions(3000)
    groups = answers(prompts, ("as", "sps"), score=1.0)
    base, own = groups[0]
    groups[0] = [base, check(own.prompt_id, "sps", tokens=[*range(19), 77], score=1.0)]
    found = "\n".join(summarize(make_run(samples, prompts, repeats=1, groups=groups))["warnings"])
    assert "SPS should give the tokens of AS, and does on 99.9% of the prompts' turns only." in found


def test_a_lossy_methods_quality_is_told() -> None:
    assert "BiLD is lossy: its answers score 1.000 where those of AS score 1.000." in notes({"as": 1, "bild": 2})


def test_a_busy_machine_is_named() -> None:
    assert "busy when the run began: load 3.0 on 4 cores" in notes({"as": 1}, load_average=[3.0, 0, 0])


def test_rates_that_a_few_slow_samples_decide_are_named() -> None:
    even = timed({"as": 1, "sps": 2}, 60, 3, 0)
    stalled = [
        msgspec.structs.replace(item, decode_ns=item.decode_ns * 40, total_ns=item.total_ns * 40)
        if item.prompt_id in ("qa-3", "qa-7") and item.repeat == 1
        else item
        for item in even
    ]
    said = [summarize(make_run(samples, questions(60)))["warnings"] for samples in (even, stalled)]
    found = [[line for line in lines if line.startswith("The tokens/s of AS lie anywhere from ")] for lines in said]
    assert (len(found[0]), len(found[1])) == (0, 1)


def test_an_unknown_bandwidth_is_named() -> None:
    assert "speed of memory is unknown" in notes({"as": 1}, bandwidth=None)


def test_prompts_that_were_left_out_are_counted() -> None:
    refused = [{"id": "a", "turn": 1, "tokens": 900, "limit": 370}, {"id": "b", "turn": 0, "tokens": 0, "limit": 370}]
    said = notes({"as": 1}, refused=refused, prompts=58)
    assert "2 of 60 prompts left out; the first is 'a', turn 2, of 900 tokens where 370 have room." in said
    assert "1 of 59 prompts left out; the first is 'b', turn 1, empty." in notes(
        {"as": 1}, refused=refused[1:], prompts=58
    )


def test_prompts_that_were_cut_are_counted() -> None:
    cut = [{"id": "a", "turn": 0, "tokens": 400, "cut": 30}, {"id": "b", "turn": 0, "tokens": 380, "cut": 10}]
    assert "2 prompts cut at the front to fit the context, by 30 tokens at most." in notes({"as": 1}, truncated=cut)


def test_bad_lines_that_were_passed_over_are_counted() -> None:
    said = notes({"as": 1}, skipped_lines=["x.jsonl, line 3: no turn", "x.jsonl, line 9: no turn"])
    assert "2 bad lines of the data passed over; the first: x.jsonl, line 3: no turn." in said


def test_prompts_that_outgrow_a_draft_are_counted() -> None:
    said = notes({"as": 1, "sps": 2}, outgrown={"small": {"prompts": 3, "context": 128}}, prompts=60)
    assert "3 of 60 prompts outgrow the context of 128 of the draft small; speculation pauses there." in said


@pytest.mark.parametrize(("speed", "count"), [(1.001, "4 cells of BiLD"), (2.0, None)])
def test_the_cells_of_a_method_share_their_notes(speed: float, count: str | None) -> None:
    values = (0.5, 0.6, 0.7, 0.8)
    labels = [f"bild fallback_threshold={value}" for value in values]
    cells = {"as": cell("as", "AS")} | {label: cell("bild", f"BiLD fb={label[-3:]}") for label in labels}
    samples = timed({"as": 1.0} | dict.fromkeys(labels, speed), 60, 3, 0)
    chosen = settings(("as", "bild"), sweep=(Axis("fallback_threshold", values),), fallback_threshold=0.5)
    groups = answers(questions(60), tuple(cells), score=1.0)
    run = make_run(
        samples, questions(60), labels=tuple(cells), chosen=chosen, groups=groups, environment={"methods": cells}
    )
    found = [note for note in summarize(run)["warnings"] if "noise floor" not in note]
    assert found[0] == "BiLD is lossy: its answers score 1.000 where those of AS score 1.000."
    noise = [note for note in found if "noise" in note]
    assert noise == ([f"{count}: the difference from AS is noise, their intervals hold 1."] if count else [])
