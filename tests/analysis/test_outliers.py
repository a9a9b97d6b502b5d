from __future__ import annotations

from synthetic import sample

from draftwise.analysis.frame import Frame, frame_of
from draftwise.analysis.outliers import FAR, MILD, outlier_levels, raw_points
from draftwise.bench.records import Sample


def frame(samples: list[Sample]) -> Frame:
    return frame_of(samples, {}, ("as", "sps"), 30)


def scattered() -> list[Sample]:
    """20 prompts of different hardness, one sample three times as slow as its fellows."""
    times = [100.0 + repeat + 10 * prompt for prompt in range(20) for repeat in range(3)]
    times[7] *= 3
    samples = [sample(f"qa-{n // 3}", repeat=n % 3, decode_ms=time, order=n) for n, time in enumerate(times)]
    return samples + [sample("qa-slow", repeat=n, decode_ms=5000.0 + n, order=60 + n) for n in range(3)]


def test_a_sample_far_from_its_prompt_s_others_is_an_outlier_and_a_slow_prompt_is_not() -> None:
    levels = outlier_levels(frame(scattered()))
    assert levels[7] == FAR and levels.sum() == FAR


def test_a_mild_outlier_lies_between_one_and_a_half_and_three_ranges() -> None:
    # Away from their medians: 20 samples at -1 %, 20 at +1 %, so the range is 2 %; the last is at about +6 %.
    samples = [
        sample(f"qa-{n}", repeat=r, decode_ms=time) for n in range(20) for r, time in enumerate((99.0, 100.0, 101.0))
    ]
    levels = outlier_levels(
        frame([*samples, *(sample("x", repeat=r, decode_ms=t) for r, t in enumerate((94, 100, 106)))])
    )
    assert levels[60:].tolist() == [MILD, 0, MILD] and not levels[:60].any()


def test_a_cell_is_no_outlier_among_slower_ones() -> None:
    fast = [sample(f"qa-{n // 3}", "sps", repeat=n % 3, decode_ms=10.0 + n % 3 / 10) for n in range(60)]
    assert outlier_levels(frame(scattered() + fast))[63:].sum() == 0


def test_an_invalid_sample_has_no_level_and_no_point() -> None:
    found = frame([*scattered(), sample("qa-1", repeat=9, decode_ms=1e6, compilations=1)])
    assert outlier_levels(found)[-1] == 0
    points, left_out = raw_points(found, 1000)
    assert (len(points), left_out) == (63, 0) and max(point.ms for point in points) < 1000


def test_points_are_thinned_evenly_and_keep_every_far_outlier() -> None:
    found = frame([*scattered(), *(sample(f"qa-{n}", "sps", decode_ms=50.0) for n in range(20))])
    points, left_out = raw_points(found, 21)
    assert (len(points), left_out) == (21, 62)
    assert [point.prompt for point in points if point.outlier == FAR] == ["qa-2"]
    assert sum(point.label == "sps" for point in points) == 5
    assert len(raw_points(found, 0)[0]) == 1
    first = raw_points(found, 1000)[0][0]
    assert (first.label, first.prompt, first.turn, first.session, first.repeat, first.ms) == (
        "as",
        "qa-0",
        0,
        0,
        0,
        5.0,
    )


def test_nothing_has_no_points() -> None:
    assert raw_points(frame([]), 10) == ([], 0)
