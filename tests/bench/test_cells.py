from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from draftwise.bench import BenchSettings
from draftwise.bench.cells import Cell, describe_cells, make_cells, short_names
from draftwise.bench.files import to_json
from draftwise.bench.settings import Axis
from draftwise.methods import METHODS
from draftwise.options import DecodingOptions


def cells(methods: tuple[str, ...] = ("as", "sps", "bild"), **sweep: tuple[Any, ...]) -> tuple[Cell, ...]:
    """The cells of a sweep over options with these values."""
    axes = tuple(Axis(name, values) for name, values in sweep.items())
    firsts = {axis.name: axis.values[0] for axis in axes}
    draft = firsts.pop("draft", None)
    return make_cells(BenchSettings(methods=methods, draft=draft, sweep=axes, decoding=DecodingOptions(**firsts)))


def labels(*args: Any, **sweep: tuple[Any, ...]) -> list[str]:
    return [cell.label for cell in cells(*args, **sweep)]


def test_without_a_sweep_a_label_is_the_methods_name() -> None:
    found = cells()
    assert [(cell.label, cell.title, cell.draft) for cell in found] == [
        ("as", "AS", None),
        ("sps", "SPS", "builtin"),
        ("bild", "BiLD", "builtin"),
    ]
    assert {cell.options for cell in found} == {DecodingOptions()}


def test_an_option_splits_only_the_methods_that_read_it() -> None:
    assert labels(gamma=(2, 4)) == ["as", "sps gamma=2", "sps gamma=4", "bild"]
    assert labels(fallback_threshold=(0.5, 0.6)) == [
        "as",
        "sps",
        "bild fallback_threshold=0.5",
        "bild fallback_threshold=0.6",
    ]


def test_every_method_that_drafts_runs_with_every_draft_and_plain_decoding_once() -> None:
    assert labels(draft=("org/opt-125m", "org/opt-350m")) == [
        "as",
        "sps draft=opt-125m",
        "sps draft=opt-350m",
        "bild draft=opt-125m",
        "bild draft=opt-350m",
    ]


def test_the_whole_seed_sweep_has_twenty_one_cells_of_different_names() -> None:
    found = cells(
        fallback_threshold=(0.5, 0.6, 0.7), rollback_threshold=(3.0, 4.0, 5.0), draft=("opt-125m", "opt-350m")
    )
    assert len(found) == 1 + 2 + 18
    assert len({cell.label for cell in found}) == len({cell.title for cell in found}) == 21
    last = found[-1]
    assert last.label == "bild fallback_threshold=0.7 rollback_threshold=5 draft=opt-350m"
    assert last.title == "BiLD fb=0.7 rb=5 opt-350m"
    assert (last.draft, last.options.fallback_threshold, last.options.rollback_threshold) == ("opt-350m", 0.7, 5.0)


def test_each_cell_decodes_with_its_own_values_and_is_else_alike() -> None:
    base, *others = cells(("as", "sps"), gamma=(2, 8))
    assert [cell.options.gamma for cell in others] == [2, 8]
    assert all(replace(cell.options, gamma=base.options.gamma) == base.options for cell in others)


def test_an_option_that_no_method_reads_makes_no_cell() -> None:
    assert labels(("as", "sps"), rollback_threshold=(3.0, 4.0)) == ["as", "sps"]


def test_a_method_that_reads_an_option_is_found_from_the_table_alone() -> None:
    for name, method in METHODS.items():
        for option in ("gamma", "fallback_threshold", "rollback_threshold", "max_draft_tokens"):
            own = getattr(DecodingOptions(), option)
            count = len(labels((name,), **{option: (own, own / 2 if isinstance(own, float) else own + 1)}))
            assert count == (2 if option in method.options else 1), (name, option)


def test_an_infinite_threshold_has_a_name_and_a_json_value() -> None:
    found = cells(("bild",), rollback_threshold=(3.0, float("inf")))
    assert found[1].label == "bild rollback_threshold=inf"
    described = describe_cells(found)
    to_json(described)
    assert described["bild rollback_threshold=inf"]["options"]["rollback_threshold"] == "inf"


def test_a_description_names_the_method_its_draft_and_the_options_that_it_reads() -> None:
    described = describe_cells(cells(gamma=(2, 4)))
    assert described["sps gamma=4"] | {"paper": ""} == {
        "method": "sps",
        "title": "SPS γ=4",
        "lossless": True,
        "paper": "",
        "draft": "builtin",
        "options": {"gamma": 4},
    }
    assert (described["as"]["draft"], described["as"]["options"]) == (None, {})


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["facebook/opt-125m", "facebook/opt-350m"], ["opt-125m", "opt-350m"]),
        (["a/model", "b/model"], ["a/model", "b/model"]),
        (["/data/one/model/", "/data/two/model", "other"], ["one/model", "two/model", "other"]),
        (["model", "a/model"], ["model", "a/model"]),
        (["builtin"], ["builtin"]),
        (["a/odd\udcff", "b/two\nlines"], ["odd\\udcff", "two\\nlines"]),
    ],
)
def test_a_model_is_called_by_the_shortest_end_that_tells_it_from_the_others(
    names: list[str], short: list[str]
) -> None:
    assert list(short_names(names).values()) == short
