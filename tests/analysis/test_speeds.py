from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from synthetic import ENVIRONMENT, MS, cell, sample, settings, timed

from draftwise.analysis.frame import frame_of
from draftwise.analysis.speeds import Figures, speed_figures
from draftwise.bench.records import Sample
from draftwise.errors import DraftwiseError

INTERVALS = ("tokens_per_second", "end_to_end_tokens_per_second", "speedup", "end_to_end_speedup", "speedup_total")
PLAIN = (
    "new_tokens",
    "seconds",
    "target_passes",
    "bandwidth_share",
    "verdict",
    "repeats_for_1_percent",
    "ttft_seconds",
    "samples",
    "invalid",
    "unpaired",
    "outliers",
    "far_outliers",
    "drift",
    "speedup_drift",
)
LABELS = ("as", "sps")
DRAFTING = {"sps": 1.0, "bild": 1.0}


def figures(
    samples: list[Sample], labels: tuple[str, ...] = LABELS, part: str | None = None, **facts: object
) -> dict[str, Figures]:
    frame = frame_of(samples, {}, labels, 30)
    chosen = settings(tuple(dict.fromkeys(label.split()[0] for label in labels if label != "as*")))
    return speed_figures(frame, frame.rows(part), chosen, ENVIRONMENT | facts, DRAFTING)


def test_each_cell_has_exactly_these_figures() -> None:
    keys = {*PLAIN, *(f"{name}{end}" for name in INTERVALS for end in ("", "_low", "_high"))}
    for found in (
        figures(timed({"as": 1, "sps": 2}, 5, 3, 0)),
        figures([]),
        figures(timed({"sps": 2}, 5, 3, 0), ("sps",)),
    ):
        assert all(values.keys() == keys for values in found.values())
        json.dumps(found, allow_nan=False)


def test_every_figure_of_a_small_run_by_hand() -> None:
    found = figures(
        [
            sample("qa-0", "as", order=0, decode_ms=100, prefill_ms=100),
            sample("qa-0", "sps", order=1, decode_ms=50, prefill_ms=150),
            sample("qa-1", "as", order=2, decode_ms=200, prefill_ms=0),
            sample("qa-1", "sps", order=3, decode_ms=100, prefill_ms=0, width=4),
        ]
    )
    plain, sps = found["as"], found["sps"]
    assert plain["tokens_per_second"] == pytest.approx(40 / 0.3)
    assert (plain["new_tokens"], plain["seconds"], plain["target_passes"]) == (40, pytest.approx(0.3), 40)
    assert plain["end_to_end_tokens_per_second"] == pytest.approx(40 / 0.4)
    assert plain["bandwidth_share"] == pytest.approx(40 * 30e6 / 0.3 / 30e9)
    assert plain["ttft_seconds"] == pytest.approx((0.105 + 0.01) / 2)
    for name in ("speedup", "end_to_end_speedup", "speedup_total"):
        assert [plain[f"{name}{end}"] for end in ("", "_low", "_high")] == [1, 1, 1]
    assert sps["speedup"] == pytest.approx(2) and sps["speedup_total"] == pytest.approx(2)
    assert sps["end_to_end_speedup"] == pytest.approx(2**0.5)
    assert sps["target_passes"] == 15
    assert sps["bandwidth_share"] == pytest.approx(15 * (30e6 + 1.0 * 3e6) / 0.15 / 30e9)


def test_the_mean_of_the_prompts_ratios_is_not_the_ratio_of_the_sums() -> None:
    times = {"qa-0": (100, 25), "qa-1": (400, 400)}
    samples = [
        sample(name, label, decode_ms=ms) for name, row in times.items() for label, ms in zip(LABELS, row, strict=True)
    ]
    sps = figures(samples)["sps"]
    assert sps["speedup"] == pytest.approx(2) and sps["speedup_total"] == pytest.approx(500 / 425)


def test_time_is_taken_per_token() -> None:
    sps = figures([sample(tokens=range(10)), sample(method="sps", tokens=range(20))])["sps"]
    assert sps["speedup"] == pytest.approx(2) and sps["speedup_total"] == pytest.approx(2)


def test_turns_of_a_conversation_are_one_prompt() -> None:
    rows = [("as", 0, 100), ("sps", 0, 100), ("as", 1, 100), ("sps", 1, 25)]
    samples = [sample("m", label, turn=turn, decode_ms=ms) for label, turn, ms in rows]
    samples += [sample("n", label, decode_ms=ms) for label, ms in (("as", 100), ("sps", 50))]
    sps = figures(samples)["sps"]
    assert sps["speedup"] == pytest.approx(2) and sps["unpaired"] == 0


def test_a_sample_without_a_partner_and_a_conversation_without_a_turn_leave_the_pairing() -> None:
    whole = [
        sample("m", label, turn=t, repeat=r, decode_ms=100 if label == "as" else 50)
        for label in LABELS
        for t in (0, 1)
        for r in (0, 1)
    ]
    torn = [item for item in whole if (item.method, item.turn, item.repeat) != ("sps", 1, 1)]
    alone = [sample("qa-1"), sample("qa-2", "sps", decode_ms=1000)]
    sps = figures([*torn, *alone])["sps"]
    assert sps["speedup"] == pytest.approx(2) and sps["speedup_total"] == pytest.approx(2)
    assert sps["unpaired"] == 3 + 2
    assert figures(whole)["sps"]["unpaired"] == 0


def test_samples_pair_within_their_session_and_repeat() -> None:
    places = [(session, repeat, 100.0 * 4 ** (session + 2 * repeat)) for session in (0, 1) for repeat in (0, 1)]
    samples = [
        sample("qa-0", label, session=session, repeat=repeat, decode_ms=ms / speed)
        for session, repeat, ms in places
        for label, speed in (("as", 1), ("sps", 2))
    ]
    sps = figures(samples)["sps"]
    assert [sps[f"speedup{end}"] for end in ("", "_low", "_high")] == pytest.approx([2, 2, 2], rel=1e-6)


def test_an_invalid_sample_enters_no_figure() -> None:
    honest = timed({"as": 1, "sps": 2}, 5, 3, 0)
    cheat = msgspec.structs.replace(honest[1], new_tokens=tuple(range(29_904)), decode_ns=1000)
    before = figures(honest[:1] + honest[2:])["sps"]
    found = figures([honest[0], cheat, *honest[2:]])["sps"]
    assert (found["invalid"], found["samples"], found["unpaired"]) == (1, 14, 1)
    assert found == before | {"invalid": 1}


def test_a_subtask_s_figures_are_those_of_its_samples_alone() -> None:
    qa, math = timed({"as": 1, "sps": 2}, 6, 3, 0), timed({"as": 1, "sps": 3}, 6, 3, 1, subtask="math")
    # Outliers are told over the whole run, so they are no part of this.
    for part, alone in (("qa", qa), ("math", math)):
        found, own = figures(qa + math, part=part)["sps"], figures(alone)["sps"]
        assert {**found, "outliers": 0, "far_outliers": 0} == {**own, "outliers": 0, "far_outliers": 0}


def test_no_outlier_is_dropped() -> None:
    samples = timed({"as": 1, "sps": 2}, 20, 3, 0)
    slow = msgspec.structs.replace(samples[4], decode_ns=samples[4].decode_ns * 9, total_ns=samples[4].total_ns * 9)
    before, after = figures(samples)["as"], figures([*samples[:4], slow, *samples[5:]])["as"]
    assert after["far_outliers"] == before["far_outliers"] + 1
    assert after["seconds"] - before["seconds"] == pytest.approx(8 * samples[4].decode_ns / 1e9)
    assert after["samples"] == before["samples"] == 60


def test_a_difference_is_called_what_its_interval_shows() -> None:
    labels = ("as", "as*", "sps", "bild")
    found = figures(timed({"as": 1, "as*": 1, "sps": 2, "bild": 0.5}, 20, 3, 0), labels)
    assert [found[label]["verdict"] for label in labels] == ["no difference shown"] * 2 + ["faster", "slower"]
    assert found["as*"]["speedup_low"] < 1 < found["as*"]["speedup_high"]


def test_more_repeats_are_asked_for_where_they_would_do() -> None:
    noisy = figures(timed({"as": 1, "sps": 2}, 60, 3, 0, noise=0.08, scatter=0.0))["sps"]
    assert noisy["speedup_high"] / noisy["speedup_low"] > 1.02
    assert 3 < noisy["repeats_for_1_percent"] < 40
    assert figures(timed({"as": 1, "sps": 2}, 10, 3, 0, scatter=0.3))["sps"]["repeats_for_1_percent"] is None


def test_without_plain_decoding_nothing_is_compared() -> None:
    found = figures(timed({"sps": 2}, 5, 3, 0), ("sps",))["sps"]
    assert found["tokens_per_second"] > 0
    assert [found[key] for key in ("speedup", "speedup_total", "verdict", "unpaired")] == [None] * 4


def test_a_single_sample_has_a_rate_and_no_interval() -> None:
    found = figures([sample(), sample(method="sps", decode_ms=50)])["sps"]
    assert (found["speedup"], found["speedup_low"], found["verdict"]) == (pytest.approx(2), None, None)
    assert found["tokens_per_second"] and found["tokens_per_second_high"] is None


def test_a_rate_above_what_memory_allows_is_an_error() -> None:
    samples = [msgspec.structs.replace(item, decode_ns=1000) for item in timed({"as": 1}, 5, 3, 0)]
    with pytest.raises(DraftwiseError, match="as: 20,000,000 tokens/s cannot be"):
        figures(samples, ("as",))


def test_the_faster_measurement_of_memory_is_the_limit() -> None:
    samples = timed({"as": 1}, 5, 3, 0)
    with pytest.raises(DraftwiseError):
        figures(samples, ("as",), bandwidth=1e9)
    found = figures(samples, ("as",), bandwidth=1e9, after={"bandwidth": 30e9})
    assert 0.1 < found["as"]["bandwidth_share"] < 0.5


@pytest.mark.parametrize(
    "facts",
    [
        {"bandwidth": None},
        {"bytes_per_pass": None},
        {"draft_bytes_per_pass": {}},
        {"methods": {"sps": cell("sps", "SPS") | {"draft": "other"}}},
    ],
)
def test_the_share_of_bandwidth_is_unknown_where_a_part_is(facts: dict[str, object]) -> None:
    assert figures(timed({"as": 1, "sps": 2}, 5, 3, 0), **facts)["sps"]["bandwidth_share"] is None


def test_sessions_widen_what_they_differ_by() -> None:
    calm, moody = (
        figures(timed({"as": 1, "sps": 2}, 20, 2, 0, sessions=4, scatter=0.02, mood=mood))["sps"] for mood in (0.0, 0.1)
    )
    assert np.log(moody["speedup_high"] / moody["speedup_low"]) > 3 * np.log(calm["speedup_high"] / calm["speedup_low"])


def test_time_is_in_seconds() -> None:
    found = figures([sample(decode_ms=250, prefill_ms=750)])["as"]
    assert found["seconds"] == 250 * MS / 1e9 and found["end_to_end_tokens_per_second"] == pytest.approx(20)
