"""OpenVINO GenAI's ``LLMPipeline`` on a CPU with its default attention, and OpenVINO itself for single passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from benchmarks.peers.cases import Case
from benchmarks.peers.runners import Loaded
from benchmarks.peers.runners.openvino_export import exported

TYPES = {"float32": "f32", "bfloat16": "bf16"}
LOOKUP = {"num_assistant_tokens": 5, "max_ngram_size": 3}
"""As in OpenVINO GenAI's sample of prompt lookup."""


def load(case: Case) -> Loaded:
    """Convert the pair where that wasn't done, and make a pipeline for each way to decode."""
    target, draft = (str(exported(directory, case)) for directory in (case.target, case.draft))
    options = {**properties(case), "scheduler_config": _scheduler()}
    plain = genai.LLMPipeline(target, "CPU", **options)
    small = genai.draft_model(draft, "CPU", **properties(case))
    drafted = genai.LLMPipeline(target, "CPU", draft_model=small, **options)
    lookup = genai.LLMPipeline(target, "CPU", prompt_lookup=True, **options)
    return Loaded(
        {
            "plain": lambda ids, tokens: _decode(plain, ids, tokens),
            "speculative, 4 tokens": lambda ids, tokens: _decode(drafted, ids, tokens, num_assistant_tokens=4),
            "prompt lookup": lambda ids, tokens: _decode(lookup, ids, tokens, **LOOKUP),
        },
        {},
        {"properties": properties(case), "prefix_caching": False},
    )


def properties(case: Case) -> dict[str, Any]:
    """The device's settings: the case's type for sums and cache; int8 weights leave both to OpenVINO."""
    hint = TYPES.get(case.dtype)
    typed = {"INFERENCE_PRECISION_HINT": hint, "KV_CACHE_PRECISION": hint} if hint else {}
    return {"INFERENCE_NUM_THREADS": case.threads, "PERFORMANCE_HINT": "LATENCY", **typed}


def _scheduler() -> Any:
    """A pipeline's own settings for one request at a time, but for the memory of prompts that it has seen before."""
    config = genai.SchedulerConfig()
    config.enable_prefix_caching = False
    config.max_num_batched_tokens = 1 << 20
    return config


def _decode(pipeline: Any, ids: list[int], tokens: int, **options: Any) -> Sequence[int]:
    config = genai.GenerationConfig()
    settings = {"max_new_tokens": tokens, "ignore_eos": True, "do_sample": False, **options}
    for name, value in settings.items():
        setattr(config, name, value)
    return list(pipeline.generate(ov.Tensor(np.array([ids], np.int64)), config).tokens[0])


class RequestPasses:
    """Inference requests on the converted model, which keeps its own cache."""

    def __init__(self, case: Case) -> None:
        model = exported(case.target, case) / "openvino_model.xml"
        self.request = ov.Core().compile_model(model, "CPU", properties(case)).create_infer_request()
        self.length = 0
        self.facts = {"properties": properties(case)}

    def fill(self, ids: list[int]) -> None:
        """Begin a new context."""
        self.request.reset_state()
        self.length = 0
        self.feed(ids)

    def feed(self, ids: list[int]) -> None:
        """One pass with logits for every token."""
        first, self.length = self.length, self.length + len(ids)
        self.request.infer(
            {
                "input_ids": np.array([ids], np.int64),
                "attention_mask": np.ones((1, self.length), np.int64),
                "position_ids": np.arange(first, self.length)[None],
                "beam_idx": np.zeros(1, np.int32),
            }
        )


def passes(case: Case) -> RequestPasses:
    """Convert the target where that wasn't done, and compile it."""
    return RequestPasses(case)
