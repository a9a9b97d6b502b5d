from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from synthetic import ENVIRONMENT, cell, check, settings, traced

from draftwise import Engine
from draftwise.analysis.acceptance import acceptance_figures
from draftwise.analysis.checks import CheckTable
from draftwise.bench.records import Check, RoundTrace
from toys import Toy, cousin, toy

STOP = 2
BILD = {"fallback_threshold": 0.5, "rollback_threshold": 3.0, "max_draft_tokens": 4}
KNOWN = ENVIRONMENT | {"methods": {"sps": cell("sps", "SPS", gamma=4), "bild": cell("bild", "BiLD", **BILD)}}


def table(*texts: list[RoundTrace], label: str = "sps", limit: int = 30, known: dict[str, Any] = KNOWN) -> CheckTable:
    groups = [
        [check(f"p{n}", label, tokens=range(sum(item.emitted for item in rounds)), rounds=rounds)]
        for n, rounds in enumerate(texts)
    ]
    return CheckTable.of(groups, ("as", "sps", "bild"), settings(max_new_tokens=limit), known)


def figures(*texts: list[RoundTrace], label: str = "sps", limit: int = 30) -> dict[str, Any]:
    return acceptance_figures(table(*texts, label=label, limit=limit), None, label)


def details(*texts: list[RoundTrace], label: str = "sps", limit: int = 30) -> dict[str, Any]:
    found: dict[str, Any] = figures(*texts, label=label, limit=limit)["acceptance"]
    return found


def test_hand_made_rounds_give_the_known_figures() -> None:
    found = figures([traced((5, 6, 7, 8), 4), traced((5, 6, 7, 8), 1)], [traced((5, 6, 7, 8), 0)], limit=10)
    inner = found["acceptance"]
    assert found["acceptance_length"] == inner["length"] == pytest.approx(8 / 3)
    assert found["acceptance_length_by_request"] == inner["length_by_request"] == pytest.approx((7 / 2 + 1) / 2)
    assert found["acceptance_rate"] == inner["rate"] == pytest.approx(5 / 12)
    assert inner["alpha"] == pytest.approx(5 / 7)
    assert inner["histogram"] == [1, 1, 0, 0, 1]
    assert (inner["rounds"], inner["drafted"], inner["accepted"], inner["wasted"]) == (3, 12, 5, 7)
    assert inner["wasted_per_token"] == pytest.approx(7 / 8)
    assert inner["small_model_share"] == pytest.approx(5 / 8)
    assert inner["drafted_per_round"] == inner["draft_passes_per_round"] == 4
    assert inner["fallbacks_per_token"] is inner["rollbacks_per_token"] is None
    # The second text ends at its first token and the first at its seventh: what lay behind them could not be emitted.
    assert inner["unconditional"] == [pytest.approx(2 / 3), pytest.approx(1 / 2), 1, 1]
    assert inner["conditional"] == [pytest.approx(2 / 3), pytest.approx(1 / 2), 1, 1]


def test_plain_decoding_emits_one_token_a_pass_and_accepts_nothing() -> None:
    found = figures([traced()] * 3, label="as")
    assert found == {
        "acceptance_length": 1.0,
        "acceptance_length_by_request": 1.0,
        "acceptance_rate": None,
        "acceptance": None,
    }


def test_nothing_checked_gives_no_figures() -> None:
    assert set(figures().values()) == {None}


def test_conditional_shares_leave_out_rounds_that_were_rejected_before() -> None:
    found = details([traced((5, 6), 0), traced((5, 6), 2), traced((5, 6), 1), traced((5, 6), 0), traced()])
    assert found["unconditional"] == [1 / 2, 1 / 4]
    assert found["conditional"] == [1 / 2, 1 / 2]


def test_a_stop_token_within_a_draft_ends_what_counts() -> None:
    """Three of five stand, the third ends the text: the other two were neither accepted nor rejected."""
    found = details([traced((5, 6, STOP, 7, 8), 3, 3)])
    assert found["unconditional"] == found["conditional"] == [1, 1, 1, None, None]
    assert (found["alpha"], found["rate"], found["wasted"]) == (1, 3 / 5, 2)


def test_positions_behind_a_stop_token_that_the_target_wrote_do_not_count() -> None:
    found = details([traced((5, 6, 7, 8), 1)])
    assert found["unconditional"] == found["conditional"] == [1, 0, None, None]


def test_positions_beyond_the_limit_do_not_count() -> None:
    rounds = [traced((5, 6, 7, 8), 1), traced()]
    assert details(rounds, limit=30)["unconditional"] == [1, 0, 0, 0]  # the fourth token could have been emitted
    assert details(rounds, limit=3)["unconditional"] == [1, 0, 0, None]  # it could not: three were left


def test_rounds_whose_draft_was_cut_by_the_room_left_do_not_thin_the_later_positions() -> None:
    found = details([traced((5, 6), 2), traced((5,), 1)], limit=5)
    assert found["unconditional"] == [1, 1]


def test_a_rollback_is_a_token_of_the_targets_instead_of_a_drafted_one() -> None:
    """Also a stop token; but not what lies behind a stop token in the draft, nor a bonus token."""
    for rounds, expected in (
        ([traced((5, 6), 2)], 0),
        ([traced((5, 6), 1)], 1),
        ([traced((5, STOP, 6), 2, 2)], 0),
        ([traced(), traced((5,), 0)], 1),
    ):
        found = details(rounds, label="bild")
        tokens = sum(item.emitted for item in rounds)
        assert found["rollbacks_per_token"] == expected / tokens


FALLBACKS = {
    "unsure before the first token": (traced((), draft_passes=1), 30, 1),
    "unsure after two": (traced((5, 6), 2, draft_passes=3), 30, 1),
    "the most tokens": (traced((5, 6, 7, 8), 4, draft_passes=4), 30, 0),
    "at a stop token": (traced((5, STOP), 1, draft_passes=2), 30, 0),
    "at a stop token, in an engine that makes all passes": (traced((5, STOP), 1, draft_passes=4), 30, 0),
    "no room but for the target's token": (traced((), draft_passes=0), 1, 0),
    "all the room": (traced((5, 6), 2, draft_passes=2), 3, 0),
    "all the room, in an engine that makes all passes": (traced((5, 6), 2, draft_passes=4), 3, 0),
    "unsure with room for one more": (traced((5,), 1, draft_passes=2), 3, 1),
    "beyond the draft's context": (traced((), draft_passes=0), 30, 0),
    "at the end of the draft's context": (traced((5,), 1, draft_passes=1), 30, 0),
}


@pytest.mark.parametrize(("item", "limit", "count"), FALLBACKS.values(), ids=FALLBACKS)
def test_a_fallback_is_a_draft_that_stopped_unsure(item: RoundTrace, limit: int, count: int) -> None:
    assert table([item], label="bild", limit=limit).tally(None, "bild").fallbacks == count


def test_without_known_stop_tokens_a_draft_that_ends_in_one_is_still_no_fallback() -> None:
    known = {name: value for name, value in KNOWN.items() if name != "stop_token_ids"}
    found = table([traced((5, STOP), 1, draft_passes=2)], label="bild", known=known)
    assert found.tally(None, "bild").fallbacks == 0


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=5), min_size=1))
def test_shares_are_shares_and_conditional_ones_are_no_smaller(texts: list[list[tuple[int, int]]]) -> None:
    rounds = [[traced(range(drafted), min(drafted, kept)) for drafted, kept in text] for text in texts]
    tally = table(*rounds).tally(None, "sps")
    found = figures(*rounds)["acceptance"]
    if found is None:
        assert tally.drafted == 0
        return
    assert sum(found["histogram"]) == found["rounds"] == sum(map(len, texts))
    assert sum(place * count for place, count in enumerate(found["histogram"])) == found["accepted"]
    assert found["wasted"] + found["accepted"] == found["drafted"]
    assert found["unconditional"][:1] == found["conditional"][:1]
    reached = tally.by_countable[::-1].cumsum()[::-1][1:]
    for place, (all_rounds, examined) in enumerate(zip(found["unconditional"], found["conditional"], strict=True)):
        assert all_rounds is None or 0 <= all_rounds <= 1
        assert examined is None or all_rounds is None or examined >= all_rounds
        if place and reached[place] == reached[place - 1] > 0:
            assert all_rounds <= found["unconditional"][place - 1]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_drafts_of_one_length_make_the_conditional_shares_multiply_up(kept: list[int]) -> None:
    """The last round is left without a draft, so that nothing is cut."""
    found = details([*(traced((5, 6, 7), count) for count in kept), traced()], limit=200)
    product = 1.0
    for every, examined in zip(found["unconditional"], found["conditional"], strict=True):
        product *= examined if examined is not None else 0
        assert every == pytest.approx(product)


def slow_reading(texts: list[Check], most: int, limit: int, reach: int) -> tuple[int, int, list[list[int]]]:
    """Fallbacks, rollbacks, and by position [accepted, countable, examined], token by token from what was emitted."""
    fallbacks = rollbacks = 0
    places = [[0, 0, 0] for _ in range(most)]
    for text in texts:
        at = 0
        for item in text.rounds:
            left, emitted = limit - at, text.new_tokens[at : at + item.emitted]
            at += item.emitted
            room = min(left - 1, max(0, reach - text.prompt_tokens - (at - item.emitted)))
            stopped = bool(item.draft) and item.draft[-1] == STOP
            fallbacks += len(item.draft) < min(most, room) and not stopped
            same = [token == other for token, other in zip(item.draft, emitted, strict=False)]
            standing = same.index(False) if False in same else len(same)
            standing = min(standing, item.accepted)
            assert standing == item.accepted
            rejected = standing < len(item.draft) and standing < len(emitted)
            rollbacks += rejected
            over = at == len(text.new_tokens)
            for place in range(len(item.draft)):
                places[place][0] += place < standing
                places[place][1] += place < (len(emitted) if over else left)
                places[place][2] += place < standing or (place == standing and rejected)
    return fallbacks, rollbacks, places


def traced_texts(engine: Engine, method: str, prompts: list[list[int]], **options: Any) -> list[Check]:
    texts = []
    for number, prompt in enumerate(prompts):
        found = engine.trace(prompt, method=method, stop_token_ids=[STOP], **options)
        rounds = [
            RoundTrace(span.draft, item.accepted, item.emitted, *span[1:])
            for span, item in zip(found.rounds, found.generation.rounds, strict=True)
        ]
        tokens = found.generation.tokens
        text = check(f"p{number}", method, tokens=tokens, rounds=rounds)
        texts.append(msgspec.structs.replace(text, prompt_tokens=len(prompt)))
    return texts


PROMPTS = [[5, 7, 1], [1, 3, 4, 5, 6, 7, 1], [3] * 11, [4] * 14, [6], [7, 0], [0, 0, 4], [6, 5, 4, 3], [1] * 9]


@given(limit=st.integers(1, 16), most=st.integers(1, 6), reach=st.sampled_from([12, 64]), seed=st.integers(0, 9))
@hypothesis_settings(max_examples=25, deadline=None)
def test_the_real_loops_rounds_are_read_as_they_happened(limit: int, most: int, reach: int, seed: int) -> None:
    """Stop tokens, the limit, a draft's full context and an unsure draft, each at many offsets."""
    target = toy(8, seed=seed)
    draft = cousin(target, 0.7)
    draft.max_positions = reach
    engine = Engine(target, draft)
    options = {"sps": {"gamma": most}, "bild": {**BILD, "rollback_threshold": 1.0, "max_draft_tokens": most}}
    for method, own in options.items():
        fed = _feeds(draft)
        texts = traced_texts(engine, method, PROMPTS, max_new_tokens=limit, **own)
        known = KNOWN | {"methods": {method: cell(method, method, **own)}}
        found = CheckTable.of([[text] for text in texts], (method,), settings(max_new_tokens=limit), known)
        tally = found.tally(None, method)
        fallbacks, rollbacks, places = slow_reading(texts, most, limit, reach + 1)
        if method == "bild":
            assert tally.fallbacks == fallbacks
        assert tally.rejections == rollbacks
        assert (tally.draft_passes - tally.double_feeds, tally.double_feeds) == _less(_feeds(draft), fed)
        shares = acceptance_figures(found, None, method)["acceptance"]
        if shares is not None:
            wanted = [(kept / all_ if all_ else None, kept / seen if seen else None) for kept, all_, seen in places]
            read = list(zip(shares["unconditional"], shares["conditional"], strict=True))
            assert read == wanted[: len(read)]
            assert not any(any(place) for place in places[len(read) :])


def _feeds(draft: Toy) -> tuple[int, int]:
    return draft.passes.count(1), draft.passes.count(2)


def _less(after: tuple[int, int], before: tuple[int, int]) -> tuple[int, int]:
    return after[0] - before[0], after[1] - before[1]


def test_both_kinds_of_draft_pass_occur() -> None:
    """Without that the count of passes that feed two tokens would be held against nothing."""
    target = toy(8, seed=1)
    engine = Engine(target, cousin(target, 0.7))
    engine.trace([1, 2], method="sps", gamma=2, max_new_tokens=9)
    assert all(_feeds(engine.draft))
