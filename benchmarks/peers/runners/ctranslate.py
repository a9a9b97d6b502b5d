"""CTranslate2's ``Generator`` on a CPU, after its own converter from transformers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2
from ctranslate2.converters import TransformersConverter
from ctranslate2.converters import transformers as loaders
from tokenizers import Tokenizer

from benchmarks.peers.cases import Case
from benchmarks.peers.runners import Loaded, Passes, Unable

NO_DRAFT = "has no speculative decoding: generate_batch takes neither a draft nor a lookup"


class _AnyVocabulary(loaders.OPTLoader):  # type: ignore[misc]
    """The converter's recipe for OPT, but for its assumption that tables are padded to the next multiple of 8 ids."""

    def get_vocabulary(self, model: Any, tokenizer: Any) -> list[str]:
        """As many tokens as the model's table has rows."""
        tokens = loaders.BartLoader.get_vocabulary(self, model, tokenizer)
        size = model.config.vocab_size
        return [*tokens[:size], *(f"<padding {place}>" for place in range(len(tokens), size))]


def load(case: Case) -> Loaded:
    """Convert the target where that wasn't done, and load it."""
    known = ctranslate2.get_supported_compute_types("cpu")
    if case.dtype not in known:
        raise Unable(f"computes in {', '.join(sorted(known))} on this CPU, not in {case.dtype}")
    generator = ctranslate2.Generator(
        str(_converted(case)), "cpu", compute_type=case.dtype, inter_threads=1, intra_threads=case.threads
    )
    tokens = _tokens(case)

    def decode(ids: list[int], count: int) -> Sequence[int]:
        result = generator.generate_batch(
            [[tokens[token] for token in ids]], max_length=count, end_token=[], include_prompt_in_result=False
        )
        return list(result[0].sequences_ids[0])

    unable = {"speculative": NO_DRAFT, "prompt lookup": NO_DRAFT}
    return Loaded({"plain": decode}, unable, {"compute_type": generator.compute_type})


def _tokens(case: Case) -> list[str]:
    """The tokens by their ids."""
    tokenizer = Tokenizer.from_file(str(Path(case.target) / "tokenizer.json"))
    return [str(tokenizer.id_to_token(token)) for token in range(tokenizer.get_vocab_size())]


def _converted(case: Case) -> Path:
    key = hashlib.sha256((Path(case.target) / "model.safetensors").read_bytes()).hexdigest()[:12]
    place = Path(case.store) / f"ctranslate2-{key}"
    if not place.exists():
        loaders._MODEL_LOADERS["OPTConfig"] = _AnyVocabulary()
        TransformersConverter(case.target).convert(str(place))
    return place


def passes(case: Case) -> Passes:
    """Say why there are none.

    Raises:
        Unable: always.
    """
    raise Unable("its forward_batch takes no cache, so no pass can follow a context")
