"""Small random models of many kinds, written and read by transformers, whose greedy answers vary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from draftwise.models.adapter import load_adapter
from draftwise.models.protocol import CausalLM, EncoderDecoderLM, is_encoder_decoder

VOCABULARY = 64
POSITIONS = 96
_UNTIED = {"vocab_size": VOCABULARY, "tie_word_embeddings": False}
_PLAIN = _UNTIED | {"max_position_embeddings": POSITIONS}
_LLAMA = _PLAIN | {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
_EXPERTS = {"moe_intermediate_size": 24, "num_experts": 4, "num_experts_per_tok": 2}
_FALCON = _PLAIN | {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_GPT = _UNTIED | {"n_positions": POSITIONS, "n_embd": 32, "n_layer": 2, "n_head": 4}
_T5 = {"vocab_size": VOCABULARY, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
_T5 |= {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 16, "decoder_start_token_id": 0}
_BART = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 48}
_BART |= {"decoder_attention_heads": 4, "decoder_ffn_dim": 48, "decoder_start_token_id": 2, "forced_eos_token_id": None}

DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "falcon alibi": ("Falcon", _FALCON | {"alibi": True, "bias": True, "multi_query": False}),
    "falcon multi-query": ("Falcon", _FALCON | {"alibi": False, "multi_query": True}),
    "falcon grouped": ("Falcon", _FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "bloom": ("Bloom", _UNTIED | {"hidden_size": 32, "n_layer": 3, "n_head": 4}),
    "gpt-j": ("GPTJ", _GPT | {"rotary_dim": 4}),
    "stablelm": ("StableLm", _LLAMA | {"use_qkv_bias": True, "partial_rotary_factor": 0.5}),
    "mixtral": ("Mixtral", _LLAMA | {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}),
    "qwen2-moe": ("Qwen2Moe", _LLAMA | _EXPERTS | {"shared_expert_intermediate_size": 24}),
    "mistral windowed": ("Mistral", _LLAMA | {"sliding_window": 7}),
    "gemma2 windowed": ("Gemma2", _LLAMA | {"sliding_window": 7, "head_dim": 8, "query_pre_attn_scalar": 8}),
    "gpt-bigcode": ("GPTBigCode", _GPT | {"multi_query": True}),
    "mpt": ("Mpt", _UNTIED | {"max_seq_len": POSITIONS, "d_model": 32, "n_layers": 2, "n_heads": 4}),
}

ENCODER_DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "t5 plain tied": ("T5", _T5 | {"feed_forward_proj": "relu", "tie_word_embeddings": True}),
    "t5 gated untied": ("T5", _T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "mt5": ("MT5", _T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "bart": ("Bart", _PLAIN | _BART),
}

_SEEDS = {"bloom": 1, "mpt": 2, "t5 plain tied": 4, "t5 gated untied": 10, "mt5": 10}
"""Where 0 would give a model that repeats itself soon."""

_ENDS = {"bos_token_id": 1, "eos_token_id": VOCABULARY - 1, "pad_token_id": None}


def save_tiny(directory: Path, name: str, *, seed: int | None = None, **changes: Any) -> Path:
    """Write one of the models above."""
    kind, settings = (DECODERS | ENCODER_DECODERS)[name]
    config = getattr(transformers, f"{kind}Config")(**(_ENDS | settings | changes))
    head = "ForConditionalGeneration" if config.is_encoder_decoder else "ForCausalLM"
    with torch.random.fork_rng():
        torch.manual_seed(_SEEDS.get(name, 0) if seed is None else seed)
        model = getattr(transformers, kind + head)(config)
        with torch.no_grad():  # transformers starts these at 0, 1 or little, where a mix-up would not show
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(0.0, 0.4)
                else:
                    parameter += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(directory)
    return directory


def load(directory: Path, eos_token_ids: tuple[int, ...] = ()) -> CausalLM:
    """The adapter of a directory, in float32 on the CPU."""
    config = json.loads((directory / "config.json").read_text())
    place = torch.device("cpu")
    return load_adapter(directory, config, dtype=torch.float32, device=place, eos_token_ids=eos_token_ids)


def load_encoder_decoder(directory: Path) -> EncoderDecoderLM:
    """The same, known to have an encoder."""
    model = load(directory)
    assert is_encoder_decoder(model)
    return model


def reference(directory: Path) -> Any:
    """The transformers model of a directory."""
    config = transformers.AutoConfig.from_pretrained(directory)
    kind = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    return kind.from_pretrained(directory, dtype=torch.float32).eval()


def ids(batch: int, length: int, seed: int = 0) -> Tensor:
    """Random tokens, [batch, length], none of them special."""
    return torch.randint(3, VOCABULARY - 1, (batch, length), generator=torch.Generator().manual_seed(seed))


def feed(model: CausalLM, tokens: Tensor, starts: list[int], cache: Any, keep: int) -> Tensor:
    """A pass of ``tokens``."""
    span = max(starts) + tokens.shape[1]
    return model.forward(tokens, torch.tensor(starts), cache, span=span, keep=keep)


def in_blocks(model: CausalLM, tokens: Tensor, cache: Any, size: int) -> Tensor:
    """Logits of every position of one row, from passes of ``size`` tokens."""
    parts = [(start, tokens[:, start : start + size]) for start in range(0, tokens.shape[1], size)]
    return torch.cat([feed(model, part, [start], cache, keep=part.shape[1]) for start, part in parts], 1)


def greedy(model: CausalLM, prompt: list[int], cache: Any, count: int) -> list[int]:
    """The most likely continuation of one row, a token a pass."""
    text = list(prompt)
    logits = feed(model, torch.tensor([prompt]), [0], cache, keep=1)
    while True:
        text.append(int(logits[0, -1].argmax()))
        if len(text) == len(prompt) + count:
            return text[len(prompt) :]
        logits = feed(model, torch.tensor([text[-1:]]), [len(text) - 1], cache, keep=1)
