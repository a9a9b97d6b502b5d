"""The models of a run: found and weighed before any weight is read, then one engine for each draft over one target."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from draftwise.bench.cells import Cell, make_cells
from draftwise.bench.settings import MODEL_FIELDS, BenchSettings
from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt

if TYPE_CHECKING:
    from draftwise.engine import Engine
    from draftwise.models.loading import OpenModel
    from draftwise.models.protocol import CausalLM
    from draftwise.pairs import Pairing

MODEL_FILES = (
    "*.safetensors",
    "pytorch_model*.bin",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "*.model",
    "*.jinja",
)
"""What decides how a model answers, among the files of its directory."""


@dataclass(frozen=True, slots=True)
class Models:
    """The engines of a run.

    Attributes:
        engines: by the draft's name; None is the engine of a run without one. They share one target.
        facts: what the record says of the models, as JSON values: ``models``, ``sha256`` and ``memory``.
    """

    engines: Mapping[str | None, Engine]
    facts: Mapping[str, Any]

    def engine(self, cell: Cell) -> Engine:
        """The engine with the cell's draft; any of them for a cell without one."""
        return self.engines[cell.draft] if cell.draft is not None else self.first

    @property
    def first(self) -> Engine:
        """An engine for what only the target does."""
        return next(iter(self.engines.values()))


@dataclass(frozen=True, slots=True)
class FoundModels:
    """The models of a run: found, compared and weighed; no weight is in memory yet.

    Attributes:
        settings: of the run.
        pairing: the target and the drafts that the run's cells use.
        drafts: their names as the settings give them, in the same order.
        context: the most positions that a prompt and its answer take.
        memory: what the models will take, in one line.
    """

    settings: BenchSettings
    pairing: Pairing
    drafts: tuple[str, ...]
    context: int
    memory: str

    def load(self) -> Models:
        """Read the weights, if there still is room for them.

        Raises:
            DraftwiseError: weights that don't fit their config, or the machine.
        """
        from draftwise.engine import Engine

        _memory(self.pairing, self.settings, self.context)
        engines = Engine.load_all(self.pairing)
        names: list[str | None] = list(self.drafts) or [None]
        facts = _describe(self.pairing, self.settings.target, self.drafts, engines)
        return Models(dict(zip(names, engines, strict=True)), facts | {"memory": self.memory})


def find_models(settings: BenchSettings, prompts: Sequence[Prompt]) -> FoundModels:
    """Find the models of a run and hold what they will take against the memory that there is.

    Args:
        settings: of the run.
        prompts: those of the run; the longest says how large the caches will be.

    Raises:
        DraftwiseError: a model that can't be used, vocabularies that differ, or too little memory.
    """
    from draftwise.models.loading import model_specs
    from draftwise.pairs import Pairing

    drafts = needed_drafts(settings)
    specs = model_specs({name: getattr(settings, name) for name in MODEL_FIELDS}, drafts)
    pairing = Pairing.open(*specs, settings.chat_template)
    context = longest_context(pairing, settings, prompts)
    return FoundModels(settings, pairing, tuple(drafts), context, _memory(pairing, settings, context))


def _memory(pairing: Pairing, settings: BenchSettings, context: int) -> str:
    return pairing.check_memory(context, batch=1, chunk=settings.decoding.prefill_chunk)


def needed_drafts(settings: BenchSettings) -> list[str]:
    """The drafts that the run's cells use; none is loaded for plain decoding alone."""
    return list(dict.fromkeys(cell.draft for cell in make_cells(settings) if cell.draft is not None))


def longest_context(pairing: Pairing, settings: BenchSettings, prompts: Sequence[Prompt]) -> int:
    """The most positions that a prompt and its answer will take, at most the target's context where that is known.

    The earlier answers of a conversation are not known yet and count with the most tokens that they may have.

    Raises:
        DraftwiseError: no tokenizer lies beside the target's weights, or the chat template fails.
    """
    from draftwise.inputs import encode_prompt

    tokenizer, template = pairing.tokenizer, pairing.chat_template
    if tokenizer is None:
        raise DraftwiseError(
            f"{settings.target!r} has no tokenizer beside its weights, and a bench reads text; add one"
        )

    def size(turn: str) -> int:
        return len(encode_prompt(tokenizer, template, turn)) + settings.decoding.max_new_tokens

    longest = max(sum(map(size, prompt.turns)) for prompt in prompts)
    config = pairing.target.config
    context = config.get("max_position_embeddings", config.get("n_positions"))
    return min(longest, context) if isinstance(context, int) and context > 0 else longest


def _describe(
    pairing: Pairing, target: str, drafts: Sequence[str], engines: Sequence[Engine]
) -> dict[str, dict[str, Any]]:
    opened = dict(zip(drafts, pairing.drafts, strict=True))
    small = {name: engine.draft for name, engine in zip(drafts, engines, strict=False) if engine.draft is not None}
    return {
        "models": {
            "target": _facts(target, pairing.target, engines[0].target),
            "drafts": [_facts(name, opened[name], model) for name, model in small.items()],
        },
        "sha256": {
            "target": _hashes(pairing.target),
            "drafts": {name: _hashes(model) for name, model in opened.items()},
        },
    }


def _facts(name: str, opened: OpenModel, model: CausalLM) -> dict[str, Any]:
    return {
        "name": name,
        "directory": str(opened.directory),
        "revision": opened.spec.revision,
        "implementation": model.implementation,
        "backend": model.backend.name,
        "exact": model.backend.exact,
        "instructions": model.backend.instructions,
        "passed_over": list(model.backend.passed_over),
        "dtype": opened.spec.dtype,
        "device": str(model.device),
        "context": model.max_positions,
    }


def _hashes(opened: OpenModel) -> dict[str, str]:
    """SHA-256 of a model's files by name; of one grown as it is loaded, the small one's and its own config's."""
    from draftwise.builtin.on_demand import is_grown

    hashes = directory_hashes(opened.directory)
    if is_grown(opened.spec.name):
        config = json.dumps(opened.config, sort_keys=True).encode()
        hashes["config.json"] = hashlib.sha256(config).hexdigest()
    return hashes


def directory_hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of a model directory's files by name: weights, configs, tokenizer and chat template."""
    hashes: dict[str, str] = {}
    for path in sorted({path for pattern in MODEL_FILES for path in directory.glob(pattern)}):
        with open(path, "rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes
