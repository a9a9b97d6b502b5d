"""Phi-3 and Phi-4 mini (Abdin et al. 2024): a Llama whose maps of one input are stored as one."""

from __future__ import annotations

from draftwise.models.families.llama import LLAMA_DEFAULTS, NormNames, decoder, read_decoder, windowed
from draftwise.models.families.reading import Reader
from draftwise.models.families.settings import Settings
from draftwise.models.own import Architecture, Weights

DEFAULTS = LLAMA_DEFAULTS | {
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "partial_rotary_factor": 1.0,
    "sliding_window": None,
}


def describe(settings: Settings) -> Architecture:
    """The switches of a Phi-3 config.json; models of a long context end where the short one does, see ``LongRope``."""
    shape = decoder(settings, fraction_key="partial_rotary_factor")
    return windowed(shape, settings.optional_size("sliding_window"))


def read(reader: Reader) -> Weights:
    """The weights of a Phi-3 checkpoint."""
    reader.checkpoint.without_prefixes("model.")
    return read_decoder(reader, NormNames(), fused=True)
