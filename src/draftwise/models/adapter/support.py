"""What config.json alone tells: which class of transformers a model is, and whether we can decode with it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from draftwise.errors import DraftwiseError, one_line
from draftwise.models.adapter.quiet import quietly, transformers_library
from draftwise.models.files import read_json

UNBOUNDED = 1 << 30
"""The number of positions of a model that sets itself no limit."""

_REWINDABLE_LAYERS = frozenset({
    "full_attention", "attention", "sliding_attention", "chunked_attention",
    "mlp", "moe", "dense", "sparse", "dummy",
})  # fmt: skip
"""Layer types, as configs name them, that keep keys and values a token or nothing at all."""

_POSITION_LIMITS = (
    "max_decoder_position_embeddings",
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "seq_length",
    "max_sequence_length",
    "max_target_positions",
)
_SOURCE_LIMITS = ("max_encoder_position_embeddings", "max_position_embeddings", "n_positions", "max_source_positions")

_LENGTH_DEPENDENT = ("longrope", "su", "dynamic")
"""Rotary scalings whose angles change, for every position, once a context is longer than the original one."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A class of transformers, its configuration, and what we need to know before there is a model."""

    model_class: Any
    config: Any
    start_token_id: int | None  # None for a decoder-only model
    max_positions: int
    max_source_tokens: int
    forced_first_id: int | None  # what an encoder-decoder writes first, whatever its logits say
    banned_ids: tuple[int, ...]  # what it never writes


def find_architecture(directory: Path, raw: Mapping[str, Any]) -> Architecture:
    """The class that config.json describes.

    Raises:
        DraftwiseError: transformers isn't installed or doesn't know the model, or we can't decode with it.
    """
    config = _read_config(directory, raw)
    model_class = _model_class(directory, config)
    _expect_rewindable(directory, model_class, config)
    encodes = bool(config.is_encoder_decoder)
    decoder = config.get_text_config(decoder=True)
    generation = _generation_settings(directory, raw) if encodes else {}
    return Architecture(
        model_class=model_class,
        config=config,
        start_token_id=_start_token_id(directory, config, generation) if encodes else None,
        max_positions=min(_limit(decoder, _POSITION_LIMITS), _original_limit(decoder)),
        max_source_tokens=_limit(config.get_text_config(encoder=True), _SOURCE_LIMITS) if encodes else 0,
        forced_first_id=_forced_first_id(generation),
        banned_ids=_banned_ids(generation),
    )


def _read_config(directory: Path, raw: Mapping[str, Any]) -> Any:
    transformers = transformers_library(directory)
    kind = raw.get("model_type")
    if not isinstance(kind, str) or kind not in transformers.CONFIG_MAPPING:
        if raw.get("auto_map"):
            raise DraftwiseError(
                f"the model_type {kind!r} of {str(directory)!r} needs code from its repository (auto_map in "
                "config.json), which is never run; give a model that transformers knows by itself"
            )
        raise DraftwiseError(
            f"transformers {transformers.__version__} knows no model_type {kind!r}, which {str(directory)!r} asks for; "
            "a newer transformers may know it"
        )
    if raw.get("quantization_config"):
        raise DraftwiseError(
            f"the weights of {str(directory)!r} are quantised (quantization_config in config.json); "
            "give the checkpoint that they were made from"
        )
    try:
        with quietly():
            return transformers.AutoConfig.from_pretrained(
                str(directory), trust_remote_code=False, local_files_only=True
            )
    except Exception as error:  # a configuration raises whatever its own checks raise
        raise DraftwiseError(f"transformers can't use {str(directory / 'config.json')!r}: {one_line(error)}") from None


def _model_class(directory: Path, config: Any) -> Any:
    """The class itself rather than an Auto class, which might look for code in the directory."""
    from transformers.models.auto import modeling_auto

    mapping = (
        modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
        if config.is_encoder_decoder
        else modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING
    )
    if type(config) not in mapping:
        raise DraftwiseError(
            f"a {config.model_type!r} model, as {str(directory)!r} holds, is no causal and no encoder-decoder "
            "language model in transformers"
        )
    found: Any = mapping[type(config)]
    if not isinstance(found, tuple | list):
        return found
    named = [each for each in found if each.__name__ in (config.architectures or ())]
    return (named or list(found))[0]


def _expect_rewindable(directory: Path, model_class: Any, config: Any) -> None:
    """Speculative decoding takes rejected tokens back, so what a model keeps of a token must be there to be cut off."""
    kinds = _layer_types(config.get_text_config(decoder=True))
    odd = next((kind for kind in kinds if kind not in _REWINDABLE_LAYERS), None)
    supports_cache = getattr(model_class, "_supports_default_dynamic_cache", lambda: True)
    # A class for hybrid models has sizes without any recurrent layer, and says so.
    if getattr(model_class, "_is_stateful", False) and (odd is not None or not kinds):
        reason = "it folds the text into a recurrent state"
    elif odd is not None:
        reason = f"it has layers of type {odd!r}, which keep more than each token's keys and values"
    elif not supports_cache():
        reason = "it keeps a cache of its own kind"
    elif "past_key_values" not in inspect.signature(model_class.forward).parameters:
        reason = "it keeps no keys and values between passes"
    else:
        return
    raise unrewindable(directory, config, reason)


def unrewindable(directory: Path | str, config: Any, reason: str) -> DraftwiseError:
    """An error for a model that can't take tokens back."""
    return DraftwiseError(
        f"the state of a {config.model_type!r} model, as {str(directory)!r} holds, can't be rewound: {reason}; "
        "give a model whose attention layers keep keys and values"
    )


def _layer_types(config: Any) -> list[str]:
    kinds = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None) or ()
    return [kind for kind in kinds if isinstance(kind, str)]


def _limit(config: Any, names: tuple[str, ...]) -> int:
    """The first of these settings that there is; relative attention has no limit, whatever it was trained on."""
    if hasattr(config, "relative_attention_num_buckets"):
        return UNBOUNDED
    values = (getattr(config, name, None) for name in names)
    return next((value for value in values if type(value) is int and value > 0), UNBOUNDED)


def _original_limit(config: Any) -> int:
    """Where the rotary angles of all positions change: cached keys would keep the old ones, so contexts end there."""
    lengths = [
        scaling.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", None)
        for scaling in _rotary_scalings(config)
        if (scaling.get("rope_type") or scaling.get("type")) in _LENGTH_DEPENDENT
    ]
    return min((length for length in lengths if type(length) is int and length > 0), default=UNBOUNDED)


def _rotary_scalings(config: Any) -> Iterator[Mapping[str, Any]]:
    """One description, or one for each type of layer."""
    for name in ("rope_parameters", "rope_scaling"):
        described = getattr(config, name, None)
        if isinstance(described, Mapping):
            yield described
            yield from (part for part in described.values() if isinstance(part, Mapping))


def _generation_settings(directory: Path, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """generation_config.json, or where there is none config.json, which held such settings before."""
    path = directory / "generation_config.json"
    return read_json(path) if path.exists() else raw


def _start_token_id(directory: Path, config: Any, generation: Mapping[str, Any]) -> int:
    """What transformers starts a decoder with: the begin-of-text id comes last."""
    for name in ("decoder_start_token_id", "bos_token_id"):
        for value in (generation.get(name), getattr(config, name, None)):
            if _is_id(value):
                return value
    raise DraftwiseError(
        f"neither generation_config.json nor config.json in {str(directory)!r} has a decoder_start_token_id; "
        "add the id that the decoder's text begins with"
    )


def _forced_first_id(generation: Mapping[str, Any]) -> int | None:
    value = generation.get("forced_bos_token_id")
    return value if _is_id(value) else None


def _banned_ids(generation: Mapping[str, Any]) -> tuple[int, ...]:
    """Single ids that are never to be written, as Marian's padding id, with which its decoder starts."""
    words = generation.get("bad_words_ids") or ()
    return tuple(word[0] for word in words if isinstance(word, list) and len(word) == 1 and _is_id(word[0]))


def _is_id(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0
