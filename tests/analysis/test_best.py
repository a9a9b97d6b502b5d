from __future__ import annotations

from paired_runs import make_run
from synthetic import cell, questions, settings, timed

from draftwise.analysis.best import best_cells
from draftwise.analysis.summary import summarize
from draftwise.bench.settings import Axis

LABELS = ("sps gamma=2", "sps gamma=4", "bild fallback_threshold=0.5", "bild fallback_threshold=0.7")
CELLS = {"as": cell("as", "AS")} | {label: cell(label.split()[0], label.upper()) for label in LABELS}
SWEEP = (Axis("gamma", (2, 4)), Axis("fallback_threshold", (0.5, 0.7)))


def swept(**speeds: float) -> dict[str, object]:
    """A summary of the four cells with these speed-ups, in the order of their labels."""
    rates = {"as": 1.0} | dict(zip(LABELS, speeds.values(), strict=True))
    chosen = settings(("as", "sps", "bild"), gamma=2, fallback_threshold=0.5, sweep=SWEEP)
    samples = timed(rates, 30, 3, 0)
    return summarize(
        make_run(samples, questions(30), labels=tuple(rates), chosen=chosen, environment={"methods": CELLS})
    )


def test_the_fastest_lossless_cell_and_the_fastest_of_all_are_named_by_subtask() -> None:
    found = swept(a=1.5, b=1.8, c=2.5, d=2.0)
    best = {"lossless": "sps gamma=4", "any": "bild fallback_threshold=0.5"}
    assert found["best"] == {"overall": best, "qa": best}
    assert found["complete"]


def test_where_nothing_speeds_up_plain_decoding_is_the_fastest() -> None:
    assert swept(a=0.5, b=0.6, c=0.7, d=0.5)["best"]["overall"] == {"lossless": "as", "any": "as"}  # type: ignore[index]


def test_without_a_sweep_there_is_no_best_to_name() -> None:
    assert summarize(make_run(timed({"as": 1, "sps": 2}, 5, 3, 0), questions(5)))["best"] == {}


def test_without_plain_decoding_the_rate_decides_and_without_samples_nobody_wins() -> None:
    rates = {"sps gamma=2": 200.0, "sps gamma=4": 100.0}
    cells = {label: {"speedup": None, "tokens_per_second": rate} for label, rate in rates.items()}
    summary = {"environment": {"methods": CELLS}, "overall": cells, "subtasks": {}}
    assert best_cells(summary) == {"overall": {"lossless": "sps gamma=2", "any": "sps gamma=2"}}
    for figures in cells.values():
        figures["tokens_per_second"] = None
    assert best_cells(summary) == {"overall": {"lossless": None, "any": None}}
