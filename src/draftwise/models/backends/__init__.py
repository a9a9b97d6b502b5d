"""The ways to run our own forward pass: a plain one, and faster twins that are held to its logits.

A backend is a module here with three functions (``Backend``). One is chosen for a model before any weight is read, by
what the machine, the dtype and the architecture allow; which one, and why others were passed over, stands in every
record. A backend that was asked for by name is never replaced by another.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import NamedTuple, Protocol, cast

import torch

from draftwise.errors import DraftwiseError, unknown_name
from draftwise.models.own import Architecture, Matrix, Weights
from draftwise.models.protocol import BackendFacts, CausalLM

__all__ = ["BACKENDS", "Backend", "BuiltModel", "Choice", "choose"]

BACKENDS = ("auto", "native", "packed", "triton", "plain")
"""What may be asked for; auto takes the fastest that can run."""

_FASTEST = {"cpu": ("native", "packed", "plain"), "cuda": ("triton", "plain")}
"""What auto tries on a kind of device, the fastest first."""

_LOOSE = {"packed": "packed.loose"}
"""Backends that are faster where a row's bits may depend on its neighbours, and the modules of these forms."""


class BuiltModel(CausalLM, Protocol):
    """A model that a backend built."""

    backend: BackendFacts


class Backend(Protocol):
    """What a module of a backend offers."""

    def why_not(self, architecture: Architecture, dtype: str, device: torch.device) -> str | None:
        """One reason, for people, why this backend can't run such a model here; None where it can."""

    def prepare(self, matrix: Matrix, *, halves: bool = False) -> Matrix:
        """A matrix as the forward pass wants it, made as soon as it is read, so that no second copy of a model exists.

        Args:
            matrix: as read; a tied head's weight is the token table itself, which must stay as it is.
            halves: whether it is a gated feed-forward's ``up``: the gate's rows, then those that it multiplies.
        """

    def build(self, architecture: Architecture, weights: Weights, eos_token_ids: tuple[int, ...]) -> BuiltModel:
        """The model of weights whose matrices are prepared."""


class Choice(NamedTuple):
    """The backend that runs a model, and why others don't."""

    name: str
    backend: Backend
    dtype: str
    passed_over: tuple[str, ...] = ()

    def build(self, architecture: Architecture, weights: Weights, eos_token_ids: tuple[int, ...]) -> CausalLM:
        """The model, which knows what was passed over for its sake."""
        model = self.backend.build(architecture, weights, eos_token_ids)
        model.backend = replace(model.backend, passed_over=self.passed_over)
        return model


def choose(
    wanted: str, architecture: Architecture, dtype: str, device: torch.device, *, exact: bool = True
) -> Choice:
    """Choose what runs a model.

    Args:
        wanted: one of ``BACKENDS``.
        architecture: the model's.
        dtype: what to compute in, by name; "int8" for matrices of whole numbers.
        device: where the model goes.
        exact: whether a backend is to keep a row's bits from depending on its neighbours, if it can.

    Raises:
        DraftwiseError: the backend that was asked for can't run; with its reason.
    """
    if wanted not in BACKENDS:
        raise unknown_name("backend", wanted, BACKENDS)
    if wanted != "auto":
        reason = _why_not(wanted, architecture, dtype, device)
        if reason is not None:
            raise DraftwiseError(f"backend {wanted!r} can't run this model here: {reason}; choose auto, or plain")
        return Choice(wanted, _module(wanted, exact), dtype)
    passed_over: list[str] = []
    for name in _FASTEST[device.type]:
        reason = _why_not(name, architecture, dtype, device)
        if reason is None:
            return Choice(name, _module(name, exact), dtype, tuple(passed_over))
        passed_over.append(f"{name}: {reason}")
    raise DraftwiseError(f"no backend runs this model in {dtype} on {device}: {'; '.join(passed_over)}")


def _why_not(name: str, architecture: Architecture, dtype: str, device: torch.device) -> str | None:
    able = [kind for kind, names in _FASTEST.items() if name in names]
    if device.type not in able:
        return f"it runs on {' and '.join(able)} alone, not on {device.type}"
    try:
        backend = _module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(__name__):
            return f"it needs the package {error.name}, which is not installed"
        return "it is not built yet"
    return backend.why_not(architecture, dtype, device)


def _module(name: str, exact: bool = True) -> Backend:
    """The module of a backend, imported when it is first looked at: some need packages that may not be there."""
    return cast(Backend, import_module(f"{__name__}.{name if exact else _LOOSE.get(name, name)}"))
