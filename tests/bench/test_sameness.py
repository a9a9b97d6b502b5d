from __future__ import annotations

import copy
from typing import Any

import pytest

from draftwise.bench import BenchSettings
from draftwise.bench.sameness import Where, fact_differences, setting_differences, software_differences
from draftwise.bench.settings import Axis
from draftwise.options import DecodingOptions

ENVIRONMENT: dict[str, Any] = {
    "cpu": "A 1 GHz processor",
    "cores": 4,
    "threads": 2,
    "pinned": True,
    "memory_bytes": 16 * 2**30,
    "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
    "gpu": {"name": "NVIDIA A", "power.limit": "700.00 W", "temperature.gpu": "30", "driver_version": "550.1"},
    "bandwidth": 20e9,
    "bytes_per_pass": 30_000_000,
    "revision": {"commit": "0123456789abcdef", "dirty": False},
    "versions": {"torch": "2.13.0", "numpy": "2.1.0"},
    "models": {
        "target": {"name": "large", "implementation": "own", "dtype": "float32", "device": "cpu", "context": 512}
        | {"backend": "native", "exact": True, "instructions": "AVX-512", "passed_over": []},
        "drafts": [{"name": "small", "implementation": "own", "dtype": "float32", "device": "cpu", "context": 512}],
    },
    "sha256": {
        "target": {"model.safetensors": "a" * 64, "tokenizer.json": "b" * 64},
        "drafts": {"small": {"model.safetensors": "c" * 64}},
        "suite": "d" * 64,
    },
    "prompts_sha256": "e" * 64,
    "chat_template": False,
    "methods": {"as": {"method": "as", "draft": None}, "sps": {"method": "sps", "draft": "small"}},
}


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    environment = copy.deepcopy(ENVIRONMENT)
    place: Any = environment
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return environment


def record(**values: Any) -> dict[str, Any]:
    return BenchSettings(**values).to_record()


def test_the_same_settings_do_not_differ_wherever_they_are_written() -> None:
    assert setting_differences(record(output="a"), record(output="b")) == []


def test_a_setting_is_named_with_both_its_values() -> None:
    there = record(decoding=DecodingOptions(gamma=4), limit=10)
    here = record(decoding=DecodingOptions(gamma=6), limit=20)
    assert setting_differences(there, here) == ["limit is 10 there and 20 here", "gamma is 4 there and 6 here"]


def test_the_sides_have_the_names_that_they_are_given() -> None:
    lines = setting_differences(record(repeats=3), record(repeats=5), Where("in a", "in b"))
    assert lines == ["repeats is 3 in a and 5 in b"]


def test_a_swept_option_is_all_of_its_values() -> None:
    swept = record(sweep=(Axis("gamma", (2, 4)),), decoding=DecodingOptions(gamma=2))
    assert setting_differences(record(), swept) == ["gamma is 4 there and 2, 4 here"]
    wider = record(sweep=(Axis("gamma", (2, 4, 8)),), decoding=DecodingOptions(gamma=2))
    assert setting_differences(swept, wider) == ["gamma is 2, 4 there and 2, 4, 8 here"]


def test_values_of_every_form_are_told() -> None:
    there = record(decoding=DecodingOptions(rollback_threshold=float("inf"), ignore_eos=True, stop_token_ids=(7, 8)))
    assert setting_differences(there, record()) == [
        "rollback_threshold is inf there and 3 here",
        "ignore_eos is on there and off here",
        "stop_token_ids is 7, 8 there and not set here",
    ]


def test_a_setting_that_a_record_lacks_has_its_default() -> None:
    partial = record()
    del partial["repeats"], partial["decoding"]["gamma"], partial["sweep"]
    assert setting_differences(partial, record()) == []
    assert setting_differences(partial, record(repeats=9)) == ["repeats is 3 there and 9 here"]
    assert setting_differences({}, record()) == ["suite is not set there and builtin here"]


def test_a_setting_of_another_version_is_no_secret() -> None:
    assert setting_differences(record() | {"sorcery": 3}, record()) == ["sorcery is 3 there and not set here"]


def test_an_environment_is_the_same_as_itself() -> None:
    assert fact_differences(ENVIRONMENT, copy.deepcopy(ENVIRONMENT)) == {}
    assert software_differences(ENVIRONMENT, copy.deepcopy(ENVIRONMENT)) == []


@pytest.mark.parametrize(
    ("path", "value", "kind", "line"),
    [
        (("cpu",), "B", "hardware", "cpu is A 1 GHz processor there and B here"),
        (("cores",), 8, "hardware", "cores is 4 there and 8 here"),
        (("threads",), 1, "hardware", "threads is 2 there and 1 here"),
        (("pinned",), False, "hardware", "the pinning of threads is on there and off here"),
        (("memory_bytes",), 8 * 2**30, "hardware", "memory is 16.0 GiB there and 8.0 GiB here"),
        (("platform",), "Linux-6.1.0-aarch64", "hardware", "the architecture is x86_64 there and aarch64 here"),
        (("gpu",), None, "hardware", "the GPU is NVIDIA A there and not set here"),
        (("gpu", "name"), "NVIDIA B", "hardware", "the GPU's name is NVIDIA A there and NVIDIA B here"),
        (
            ("gpu", "power.limit"),
            "300.00 W",
            "hardware",
            "the GPU's power limit is 700.00 W there and 300.00 W here",
        ),
        (
            ("sha256", "target", "tokenizer.json"),
            "f" * 64,
            "models",
            "tokenizer.json of the target is bbbbbbbbbbbb there and ffffffffffff here (SHA-256)",
        ),
        (
            ("sha256", "drafts", "small", "model.safetensors"),
            "f" * 64,
            "models",
            "model.safetensors of the draft small is cccccccccccc there and ffffffffffff here (SHA-256)",
        ),
        (
            ("models", "target", "dtype"),
            "bfloat16",
            "models",
            "the dtype of the target is float32 there and bfloat16 here",
        ),
        (
            ("models", "target", "backend"),
            "packed",
            "models",
            "the backend of the target is native there and packed here",
        ),
        (("models", "target", "exact"), False, "models", "the exactness of the target is on there and off here"),
        (
            ("models", "target", "instructions"),
            "AVX2",
            "models",
            "the set of instructions of the target is AVX-512 there and AVX2 here",
        ),
        (
            ("models", "drafts", 0, "implementation"),
            "transformers",
            "models",
            "the implementation of the draft small is own there and transformers here",
        ),
        (("sha256", "suite"), "f" * 64, "data", "the suite is dddddddddddd there and ffffffffffff here (SHA-256)"),
        (
            ("prompts_sha256",),
            "f" * 64,
            "data",
            "the set of prompts is eeeeeeeeeeee there and ffffffffffff here (SHA-256)",
        ),
        (("chat_template",), True, "data", "the use of a chat template is off there and on here"),
    ],
)
def test_each_fact_is_named_where_it_differs(path: tuple[str, ...], value: Any, kind: str, line: str) -> None:
    assert fact_differences(ENVIRONMENT, changed(*path, to=value)) == {kind: [line]}


def test_a_file_that_one_side_lacks_differs() -> None:
    other = changed("sha256", "target", to={"model.safetensors": "a" * 64})
    line = "tokenizer.json of the target is bbbbbbbbbbbb there and missing here (SHA-256)"
    assert fact_differences(ENVIRONMENT, other) == {"models": [line]}


@pytest.mark.parametrize(
    "other",
    [
        changed("memory_bytes", to=int(15.9 * 2**30)),
        changed("pinned", to=[2, 3]),
        changed("gpu", "temperature.gpu", to="70"),
        changed("models", "target", "name", to="/elsewhere/large"),
        changed("bandwidth", to=10e9),
        changed("versions", "torch", to="2.14.0"),
        changed("revision", to={"commit": "f" * 40, "dirty": True}),
        changed("platform", to="Linux-6.8.0-x86_64-with-glibc2.40"),
    ],
)
def test_what_changes_between_runs_of_one_kind_is_no_difference(other: dict[str, Any]) -> None:
    assert fact_differences(ENVIRONMENT, other) == {}


def renamed_draft(digest: str) -> dict[str, Any]:
    other = changed("sha256", "drafts", to={"other/small": {"model.safetensors": digest}})
    other["models"]["drafts"][0]["name"] = "other/small"
    other["methods"]["sps"]["draft"] = "other/small"
    return other


def test_a_draft_of_another_name_is_the_same_by_its_files() -> None:
    assert fact_differences(ENVIRONMENT, renamed_draft("c" * 64)) == {}
    (line,) = fact_differences(ENVIRONMENT, renamed_draft("f" * 64))["models"]
    assert line.startswith("model.safetensors of the draft (small or other/small) is cccccccccccc there")


def test_a_draft_that_only_one_run_uses_is_no_difference() -> None:
    other = changed(
        "sha256", "drafts", to={"new": {"model.safetensors": "f" * 64}, "small": {"model.safetensors": "c" * 64}}
    )
    other["methods"]["sps draft=new"] = {"method": "sps", "draft": "new"}
    assert fact_differences(ENVIRONMENT, other) == {}


def test_without_word_of_cells_the_drafts_are_held_together_in_their_order() -> None:
    there, here = copy.deepcopy(ENVIRONMENT), renamed_draft("f" * 64)
    del there["methods"], here["methods"]
    assert list(fact_differences(there, here)) == ["models"]


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_fact_that_a_run_lacks_is_no_difference(name: str) -> None:
    partial = {key: value for key, value in ENVIRONMENT.items() if key != name}
    for there, here in ((partial, ENVIRONMENT), (ENVIRONMENT, partial)):
        assert fact_differences(there, here) == {}
        if name != "revision":
            assert software_differences(there, here) == []


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, [1]])
@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_fact_of_another_form_breaks_nothing(name: str, value: Any) -> None:
    other = {**ENVIRONMENT, name: value}
    for there, here in ((other, ENVIRONMENT), (ENVIRONMENT, other)):
        fact_differences(there, here)
        software_differences(there, here)


def test_versions_the_revision_and_the_speed_of_memory_are_told_apart() -> None:
    other = changed("versions", to={"torch": "2.14.0", "scipy": "1.14"})
    other |= {"bandwidth": 10e9, "revision": {"commit": "f" * 40, "dirty": True}}
    assert software_differences(ENVIRONMENT, other, Where("in a", "in b")) == [
        "torch is 2.13.0 in a and 2.14.0 in b",
        "the code's revision is 0123456789 in a and ffffffffff with changes in b",
        "the speed of memory is 20.0 GB/s in a and 10.0 GB/s in b",
    ]


def test_the_speed_over_buffers_of_other_sizes_is_not_compared() -> None:
    assert software_differences(ENVIRONMENT, changed("bandwidth", to=10e9) | {"bytes_per_pass": 1}) == []


def test_a_hostile_name_stays_on_its_line() -> None:
    ((line,),) = fact_differences(ENVIRONMENT, changed("cpu", to="B\n\x1b[31mred")).values()
    assert line.isprintable()
