"""Which backend runs a model: asked for by name or chosen, with the reasons against the others."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from tiny_families import directory

from draftwise.engine import Engine
from draftwise.errors import DraftwiseError
from draftwise.models import backends
from draftwise.models.backends import BACKENDS, Choice, choose
from draftwise.models.backends.packed import loose
from draftwise.models.families import own_architecture
from draftwise.models.files import read_json
from draftwise.models.loading import ModelSpec, load_model, model_specs, open_model
from draftwise.models.protocol import BackendFacts
from draftwise.models.vocabulary import limit_vocabulary

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@dataclass
class Stub:
    """A backend that says no more than whether it can run."""

    name: str
    reason: str | None = None

    def why_not(self, architecture: object, dtype: str, device: torch.device) -> str | None:
        return self.reason

    def build(self, architecture: object, weights: object, eos_token_ids: object) -> Any:
        return SimpleNamespace(backend=BackendFacts(self.name, exact=True))


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Stub]:
    """Stand-ins for every backend, each able until a test gives it a reason."""
    made = {name: Stub(name) for name in BACKENDS if name != "auto"}
    monkeypatch.setattr(backends, "import_module", lambda name: made[name.rsplit(".backends.")[-1].split(".")[0]])
    return made


def chosen(wanted: str = "auto", device: torch.device = CPU, dtype: str = "float32", **more: Any) -> Choice:
    return choose(wanted, own_architecture(read_json(directory("opt") / "config.json")), dtype, device, **more)


@pytest.mark.parametrize(("device", "first", "last"), [(CPU, "native", "plain"), (CUDA, "triton", "plain")])
def test_auto_takes_the_fastest_that_can_run(
    stubs: dict[str, Stub], device: torch.device, first: str, last: str
) -> None:
    assert (chosen(device=device).name, chosen(device=device).passed_over) == (first, ())
    for name in set(stubs) - {last}:
        stubs[name].reason = f"no {name} here"
    assert chosen(device=device).name == last


def test_the_reasons_against_faster_ones_are_kept_and_recorded(stubs: dict[str, Stub]) -> None:
    stubs["native"].reason = "no C++ compiler found"
    choice = chosen()
    assert choice.passed_over == ("native: no C++ compiler found",)
    built = choice.build(cast(Any, None), cast(Any, None), ())
    assert built.backend == BackendFacts("packed", exact=True, passed_over=choice.passed_over)


def test_one_that_was_asked_for_is_never_replaced(stubs: dict[str, Stub]) -> None:
    stubs["packed"].reason = "this torch was built without oneDNN"
    with pytest.raises(DraftwiseError, match="backend 'packed' can't run this model here: this torch was built"):
        chosen("packed")
    assert (chosen("plain").name, chosen("plain").passed_over) == ("plain", ())


@pytest.mark.parametrize(("name", "device"), [("native", CUDA), ("packed", CUDA), ("triton", CPU)])
def test_a_backend_of_another_device_says_so(stubs: dict[str, Stub], name: str, device: torch.device) -> None:
    with pytest.raises(DraftwiseError, match=f"it runs on c.* alone, not on {device.type}"):
        chosen(name, device)


def test_nothing_left_is_an_error_with_every_reason(stubs: dict[str, Stub]) -> None:
    for name, stub in stubs.items():
        stub.reason = f"no {name} here"
    with pytest.raises(DraftwiseError, match="native: no native here; packed: no packed here; plain: no plain here"):
        chosen()


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(DraftwiseError, match="'fast'; choose from: auto, native, packed, triton, plain"):
        ModelSpec("x", backend="fast")
    with pytest.raises(DraftwiseError, match="unknown backend 'fast'"):
        chosen("fast")


def test_a_package_that_is_missing_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("no", name="triton")

    monkeypatch.setattr(backends, "import_module", missing)
    with pytest.raises(DraftwiseError, match="it needs the package triton, which is not installed"):
        chosen("triton", CUDA)


def test_where_exactness_is_not_asked_for_a_faster_form_runs() -> None:
    assert chosen("packed", exact=False).backend is loose
    assert chosen("packed").backend is not loose
    assert chosen("plain", exact=False).name == "plain"
    model = load_model(directory("opt"), backend="packed", exact=False)
    assert (model.backend.name, model.backend.exact) == ("packed", False)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_a_dtype_that_only_the_plain_one_knows_is_run_by_it(dtype: str) -> None:
    choice = chosen(dtype=dtype)
    assert choice.name == "plain"
    assert [line.split(":")[0] for line in choice.passed_over] == ["native", "packed"]
    assert all(f"not in {dtype}" in line for line in choice.passed_over)


def test_the_packed_one_leaves_whole_numbers_to_others() -> None:
    with pytest.raises(DraftwiseError, match="'packed' .* it computes in float32, bfloat16, not in int8"):
        chosen("packed", dtype="int8")


def test_the_facts_reach_the_engine_through_a_smaller_vocabulary() -> None:
    model = load_model(directory("opt"), backend="packed")
    limited = limit_vocabulary(model, {"a": 0, "b": 2})
    assert limited is not model and limited.backend is model.backend
    assert Engine(limited).target.backend.name == "packed"


@pytest.mark.parametrize(("option", "value"), [("backend", "plain"), ("dtype", "int8")])
def test_what_only_our_own_pass_has_is_refused_of_transformers(option: str, value: str) -> None:
    with pytest.raises(DraftwiseError, match=f"{option} '{value}' is one of our own forward pass alone"):
        open_model(ModelSpec(str(directory("opt")), implementation="transformers", **{option: value}))


def test_a_draft_is_run_as_the_target_unless_told() -> None:
    options = {"target": "t", "exact": False, "revision": None, "draft_revision": None}
    options |= {"dtype": "bfloat16", "device": "cpu", "implementation": "own", "backend": "packed"}
    options |= {"draft_dtype": None, "draft_device": None, "draft_implementation": None}
    target, (same, other) = model_specs(options | {"draft_backend": None}, ["d", "e"])
    assert (target.backend, same.backend, other.backend) == ("packed", "packed", "packed")
    assert (target.exact, same.exact) == (False, False)
    _, (told,) = model_specs(options | {"draft_backend": "plain"}, ["d"])
    assert told.backend == "plain"
