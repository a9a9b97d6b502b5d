from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

from draftwise.bench import BenchSettings
from draftwise.bench.settings import MODEL_FIELDS, Axis
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions


def test_the_defaults_are_the_seed_experiments() -> None:
    settings = BenchSettings()
    assert (settings.target, settings.methods, settings.limit, settings.repeats) == (
        "builtin",
        ("as", "as*", "sps", "bild"),
        20,
        3,
    )
    assert settings.decoding == DecodingOptions()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"methods": ("as", "magic")}, "method 'magic'; choose from: as, as\\*, sps, bild"),
        ({"methods": ()}, "methods must be at least one name"),
        ({"methods": ("as", "as")}, "methods must be different names"),
        ({"suite": "nothing"}, "suite 'nothing'; choose from: builtin"),
        ({"subtasks": ("poetry",)}, "subtask 'poetry'; choose from: multi-turn, "),
        ({"limit": 0}, "limit must be a whole number of at least 1, not 0"),
        ({"repeats": -1}, "repeats must be"),
        ({"warmups": 0}, "warmups must be"),
        ({"threads": 0}, "threads must be"),
        ({"sessions": 0}, "sessions must be a whole number of at least 1, not 0"),
        ({"pin": 1}, "pin must be"),
        ({"target": ""}, "target must be"),
        ({"dtype": "int3"}, "unknown dtype 'int3'; choose from: float32, bfloat16"),
        ({"draft_dtype": "int3"}, "unknown dtype 'int3'"),
        ({"implementation": "theirs"}, "unknown implementation 'theirs'; choose from: auto, own, transformers"),
        ({"draft_implementation": "theirs"}, "unknown implementation 'theirs'"),
        ({"backend": "fast"}, "unknown backend 'fast'; choose from: auto, native, packed, triton, plain"),
        ({"draft_backend": "fast"}, "unknown backend 'fast'"),
        ({"exact": "yes"}, "exact must be True or False, not 'yes'"),
        ({"truncate": "right"}, "truncate must be one of none, left, not 'right'"),
        ({"sweep": (Axis("gamma", (4,)),)}, "gamma must be several different values"),
        ({"sweep": (Axis("gamma", (4, 0)),)}, "gamma must be a whole number of at least 1, not 0"),
        ({"sweep": (Axis("gamma", (2, 4)),)}, "gamma must be the first of its swept values, 2, not 4"),
        ({"target": "some/where"}, "'sps' needs a draft model"),
    ],
)
def test_a_bad_value_is_named(bad: dict[str, Any], words: str) -> None:
    with pytest.raises(DraftwiseError, match=words):
        BenchSettings(**bad)


def test_plain_decoding_needs_no_draft() -> None:
    assert BenchSettings(target="some/where", methods=("as",)).draft is None


def test_settings_survive_the_way_through_json() -> None:
    decoding = DecodingOptions(rollback_threshold=float("inf"), stop_token_ids=(3, 4), seed=2**62)
    sweep = (Axis("rollback_threshold", (float("inf"), 3.0)), Axis("draft", ("a", "b")))
    settings = BenchSettings(
        methods=("bild",),
        subtasks=("qa",),
        threads=2,
        sessions=3,
        pin=True,
        draft="a",
        truncate="left",
        decoding=decoding,
        sweep=sweep,
    )
    assert BenchSettings.from_record(json.loads(json.dumps(settings.to_record(), allow_nan=False))) == settings


def test_data_alone_means_the_suite_of_a_users_file() -> None:
    assert BenchSettings(data="prompts.jsonl").suite == "file"
    assert (BenchSettings().suite, BenchSettings(suite="standard", data=None).suite) == ("builtin", "standard")


def test_the_built_in_target_brings_its_draft_and_another_does_not() -> None:
    assert BenchSettings().drafts == ("builtin",)
    assert BenchSettings(target="a", methods=("as",)).drafts == ()
    assert BenchSettings(target="a", draft="b").drafts == ("b",)


def test_the_models_fields_are_fields() -> None:
    assert set(MODEL_FIELDS) <= {item.name for item in fields(BenchSettings)}


def test_declaring_the_settings_imports_nothing_heavy() -> None:
    code = (
        "import sys, draftwise.bench.experiment, draftwise.tasks\n"
        "print(sorted({'torch', 'numpy', 'rich', 'nltk'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
