"""Tiny random OPT directories, and how a command ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

VOCABULARY = 260  # the 256 bytes, the end of text, and three ids without a token


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refused_with(self, *words: str) -> None:
        """Assert one line of error that holds the words, exit code 2 and nothing on stdout."""
        assert (self.code, self.out) == (2, ""), self
        assert self.err.startswith("draftwise: error: ") and self.err.count("\n") == 1 and self.err.endswith("\n")
        for word in words:
            assert word in self.err, self.err


Run = Callable[..., Outcome]


def save_tokenizer(directory: Path, *, shifted: bool = False) -> None:
    """Every byte is a token; ``shifted`` gives the same tokens other ids."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if shifted:
        alphabet = alphabet[1:] + alphabet[:1]
    vocabulary = {token: index for index, token in enumerate([*alphabet, "</s>"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["</s>"])
    tokenizer.save(str(directory / "tokenizer.json"))


def save_opt(directory: Path, *, hidden: int = 16, layers: int = 1, seed: int = 0, positions: int = 4096) -> Path:
    """A random OPT checkpoint in the Hugging Face format."""
    directory.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embed_tokens.weight": (VOCABULARY, hidden),
        "embed_positions.weight": (positions + 2, hidden),
        "final_layer_norm.weight": (hidden,),
        "final_layer_norm.bias": (hidden,),
    }
    for layer in range(layers):
        at = f"layers.{layer}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= {f"{at}self_attn.{name}.weight": (hidden, hidden), f"{at}self_attn.{name}.bias": (hidden,)}
        for name in ("self_attn_layer_norm", "final_layer_norm"):
            shapes |= {f"{at}{name}.weight": (hidden,), f"{at}{name}.bias": (hidden,)}
        shapes |= {f"{at}fc1.weight": (2 * hidden, hidden), f"{at}fc1.bias": (2 * hidden,)}
        shapes |= {f"{at}fc2.weight": (hidden, 2 * hidden), f"{at}fc2.bias": (hidden,)}
    weights = {f"model.decoder.{name}": torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    config = {
        "model_type": "opt",
        "vocab_size": VOCABULARY,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "ffn_dim": 2 * hidden,
        "max_position_embeddings": positions,
        "word_embed_proj_dim": hidden,
        "eos_token_id": 256,
    }
    (directory / "config.json").write_text(json.dumps(config), "utf-8")
    save_tokenizer(directory)
    return directory


@dataclass(frozen=True)
class Pair:
    """Two directories that go together."""

    target: Path
    draft: Path

    @property
    def options(self) -> tuple[str, ...]:
        """What a command needs to use the pair."""
        return ("--target", str(self.target), "--draft", str(self.draft))
