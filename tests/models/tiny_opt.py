"""Small random OPT checkpoints, written by transformers, whose greedy answers vary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import pre_tokenizers
from tokenizers.models import WordLevel
from transformers import OPTConfig, OPTForCausalLM


def save_tiny_opt(
    directory: Path,
    *,
    seed: int = 0,
    vocab_size: int = 64,
    hidden: int = 32,
    layers: int = 2,
    heads: int = 2,
    ffn: int = 64,
    tokenizer: bool = True,
    shard_size: str = "1GB",
    **config: Any,
) -> Path:
    """Write config.json, generation_config.json, safetensors and a tokenizer.json; the rest goes to ``OPTConfig``."""
    settings = {"word_embed_proj_dim": hidden, "max_position_embeddings": 64, "init_std": 0.4, "pad_token_id": None}
    shape = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "ffn_dim": ffn}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = OPTForCausalLM(OPTConfig(vocab_size=vocab_size, **shape, **(settings | config)))
        with torch.no_grad():  # transformers starts these at 0 and 1, where a mix-up would not show
            for name, parameter in model.named_parameters():
                if name.endswith("bias") or "norm" in name:
                    parameter += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(directory, max_shard_size=shard_size)
    if tokenizer:
        save_tokenizer(directory, vocab_size)
    return directory


def save_tokenizer(directory: Path, vocab_size: int) -> None:
    """Words w0, w1, … are ids 0, 1, …; the last id is the end of text."""
    words = {f"w{index}": index for index in range(vocab_size - 1)}
    tokenizer = tokenizers.Tokenizer(WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["</s>"])
    tokenizer.save(str(directory / "tokenizer.json"))


def reference(directory: Path) -> OPTForCausalLM:
    """The transformers model of a directory, in float32."""
    return OPTForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
