"""From a name to a model that decodes: where its files lie, which forward pass runs, in which type and where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from draftwise.errors import DraftwiseError, UnsupportedError, unknown_name
from draftwise.models.adapter import find_architecture, load_adapter
from draftwise.models.backends import BACKENDS, Choice, choose
from draftwise.models.backends.footprint import footprint
from draftwise.models.checkpoint import Checkpoint
from draftwise.models.families import FAMILIES, load_own, own_architecture
from draftwise.models.files import read_json
from draftwise.models.hub import find_directory
from draftwise.models.memory import Footprint, ModelMemory, model_memory
from draftwise.models.own import Architecture
from draftwise.models.protocol import CausalLM
from draftwise.models.quantised import INT8

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
    INT8: torch.bfloat16,
}
"""The floating-point type of what is asked for by name; in int8 that of all but the matrices."""

IMPLEMENTATIONS = ("auto", "own", "transformers")
"""Whose forward pass runs; auto takes our own where it knows the model, else that of transformers."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which model, and how to run it.

    Attributes:
        name: a local directory in the Hugging Face format, or a Hub id.
        revision: a branch, tag or commit of a Hub id; None for its main branch.
        dtype: what to compute in, whatever the files store; a key of ``DTYPES``.
        device: cpu, cuda or cuda:N.
        implementation: one of ``IMPLEMENTATIONS``.
        backend: one of ``backends.BACKENDS``; others than auto ask for our own forward pass.
        exact: whether a row's logits may depend on its own tokens alone, to the bit, wherever a backend can do so.
    """

    name: str
    revision: str | None = None
    dtype: str = "float32"
    device: str = "cpu"
    implementation: str = "auto"
    backend: str = "auto"
    exact: bool = True

    def __post_init__(self) -> None:
        """Check the names that can be checked without looking at a file."""
        if self.dtype not in DTYPES:
            raise unknown_name("dtype", self.dtype, DTYPES)
        if self.implementation not in IMPLEMENTATIONS:
            raise unknown_name("implementation", self.implementation, IMPLEMENTATIONS)
        if self.backend not in BACKENDS:
            raise unknown_name("backend", self.backend, BACKENDS)

    def draft(
        self,
        name: str,
        *,
        revision: str | None = None,
        dtype: str | None = None,
        device: str | None = None,
        implementation: str | None = None,
        backend: str | None = None,
    ) -> ModelSpec:
        """The spec of a draft for this target; what is left out is as the target's, but for the revision."""
        return replace(
            self,
            name=name,
            revision=revision,
            dtype=dtype or self.dtype,
            device=device or self.device,
            implementation=implementation or self.implementation,
            backend=backend or self.backend,
        )


def model_specs(options: Mapping[str, Any], drafts: Sequence[str]) -> tuple[ModelSpec, list[ModelSpec]]:
    """The specs of a target and of drafts for it, which share their options.

    Args:
        options: ``target``, ``exact``, ``revision``, ``dtype``, ``device``, ``implementation`` and ``backend``, and the
            last five for the drafts with ``draft_`` before them; others are passed over.
        drafts: the drafts' names.
    """
    names = ("revision", "dtype", "device", "implementation", "backend")
    target = ModelSpec(options["target"], exact=options["exact"], **{name: options[name] for name in names})
    own = {name: options[f"draft_{name}"] for name in names}
    return target, [target.draft(name, **own) for name in drafts]


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model whose files are found and whose config is read; no weight is in memory yet.

    ``choice`` is the backend of our own forward pass; None where transformers runs the model.
    """

    spec: ModelSpec
    directory: Path
    config: Mapping[str, Any]
    choice: Choice | None
    device: torch.device
    checkpoint: Checkpoint
    eos_token_ids: tuple[int, ...]

    def load(self) -> CausalLM:
        """Read the weights.

        Raises:
            DraftwiseError: they don't fit the config, or the machine.
        """
        if self.choice is not None:
            return load_own(self.config, self.checkpoint, self.eos_token_ids, self.choice)
        self.checkpoint.expect_float_weights()
        dtype = DTYPES[self.spec.dtype]
        return load_adapter(
            self.directory, self.config, dtype=dtype, device=self.device, eos_token_ids=self.eos_token_ids
        )

    def memory(self, role: str, *, batch: int, context: int, chunk: int) -> ModelMemory:
        """The bytes that the model takes for ``batch`` rows of ``context`` tokens, filled ``chunk`` tokens a pass."""
        elements, itemsize = self.checkpoint.elements, DTYPES[self.spec.dtype].itemsize
        taken = Footprint(elements * itemsize, itemsize, itemsize)
        if self.choice is not None:
            taken = footprint(self.choice.name, own_architecture(self.config), elements, self.spec.dtype, itemsize)
        return model_memory(role, self.config, taken, str(self.device), batch=batch, context=context, chunk=chunk)


def open_model(spec: ModelSpec) -> OpenModel:
    """Find a model's files, fetch them if need be, and choose the forward pass.

    Raises:
        DraftwiseError: the name, a file, the device or the implementation is of no use.
    """
    device = present_device(spec.device)
    directory = find_directory(spec.name, spec.revision, lambda place: _judge(spec, place))
    config, choice = _judge(spec, directory)
    return OpenModel(
        spec=spec,
        directory=directory,
        config=config,
        choice=choice,
        device=device,
        checkpoint=Checkpoint(directory, DTYPES[spec.dtype], device),
        eos_token_ids=_eos_token_ids(directory, config),
    )


def load_model(name: str | Path, **options: Any) -> CausalLM:
    """Open a model and read its weights; arguments and errors as for ``ModelSpec`` and ``open_model``."""
    return open_model(ModelSpec(str(name), **options)).load()


class _Judgement(NamedTuple):
    config: Mapping[str, Any]
    choice: Choice | None


def _judge(spec: ModelSpec, directory: Path) -> _Judgement:
    """Choose the forward pass, or refuse a model that can't run, by its config alone."""
    config = read_json(directory / "config.json")
    architecture = _own_architecture(spec.implementation, config, directory)
    if architecture is not None:
        device = present_device(spec.device)
        return _Judgement(config, choose(spec.backend, architecture, spec.dtype, device, exact=spec.exact))
    for option, refused in {"backend": spec.backend != "auto", "dtype": spec.dtype == INT8}.items():
        if refused:
            raise DraftwiseError(
                f"{option} {getattr(spec, option)!r} is one of our own forward pass alone, but transformers runs "
                f"{str(directory)!r}; choose another {option}"
            )
    find_architecture(directory, config)
    return _Judgement(config, None)


def _own_architecture(wanted: str, config: Mapping[str, Any], directory: Path) -> Architecture | None:
    """The architecture where our own forward pass runs the model; None where transformers does."""
    if wanted == "transformers":
        return None
    family = config.get("model_type")
    if not isinstance(family, str) or not family:
        raise DraftwiseError(f"config.json in {str(directory)!r} names no model_type; give a complete config.json")
    if family not in FAMILIES:
        if wanted == "own":
            raise unknown_name(f"model_type in {str(directory / 'config.json')!r}", family, FAMILIES)
        return None
    try:
        return own_architecture(config)
    except UnsupportedError:
        if wanted == "own":
            raise
        return None


def present_device(name: str) -> torch.device:
    """The device of that name: "cpu", "cuda" or "cuda:N".

    Raises:
        DraftwiseError: this machine has none, listing those that it has.
    """
    cards = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    device = f"cuda:{int(name[5:] or 0)}" if re.fullmatch(r"cuda(:\d+)?", name) else name
    if device not in ["cpu", *cards]:
        raise DraftwiseError(f"no device {name!r} on this machine; available: {', '.join(['cpu', *cards])}")
    return torch.device(device)


def _eos_token_ids(path: Path, config: Mapping[str, Any]) -> tuple[int, ...]:
    """The ids of generation_config.json, where it names any, before config.json's."""
    source, value = "config.json", config.get("eos_token_id")
    if value is None and isinstance(config.get("text_config"), Mapping):
        value = config["text_config"].get("eos_token_id")
    if (path / "generation_config.json").exists():
        overriding = read_json(path / "generation_config.json").get("eos_token_id")
        if overriding is not None:
            source, value = "generation_config.json", overriding
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(type(item) is int and item >= 0 for item in ids):
        where = str(path / source)
        raise DraftwiseError(f"{where!r}: eos_token_id must be a token id, a list of them or null, not {value!r}")
    return tuple(ids)
