"""Names and files: prefixes, buffers, tied and untied heads, shards, what is missing and what is left over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_families import CASES, close, directory, ids, own, reference, save, whole
from torch import Tensor

from draftwise.errors import DraftwiseError
from draftwise.models.loading import load_model
from draftwise.models.protocol import CausalLM

ONE_EACH = ["opt", "gpt2", "gpt-neox", "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3 text", "gemma3", "phi3"]
Tensors = dict[str, Tensor]


def rewritten(name: str, target: Path, change: Callable[[Tensors], Tensors]) -> Path:
    """A copy of a case with other tensors in its file."""
    copytree(directory(name), target, dirs_exist_ok=True)
    tensors = change(load_file(target / "model.safetensors"))
    save_file({key: tensor.contiguous().clone() for key, tensor in tensors.items()}, target / "model.safetensors")
    return target


def load(path: Path) -> CausalLM:
    return load_model(path, implementation="own", backend="plain")


def same(path: Path, name: str) -> None:
    assert torch.equal(whole(load(path), ids(2, 12)), whole(own(name), ids(2, 12)))


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    def change(tensors: Tensors) -> Tensors:
        assert any(name.startswith(old) for name in tensors)
        return {new + name.removeprefix(old) if name.startswith(old) else name: t for name, t in tensors.items()}

    return change


def added(**extra: Tensor) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name.replace("__", "."): tensor for name, tensor in extra.items()}


@pytest.mark.parametrize("name", ONE_EACH)
def test_shards_give_the_same_model(tmp_path: Path, name: str) -> None:
    save(CASES[name], tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    same(tmp_path, name)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("opt", "model.decoder.", "decoder."),
        ("opt", "model.decoder.", ""),
        ("gpt2", "transformer.", ""),
        ("gpt-neox", "gpt_neox.", ""),
        ("gpt-neox", "embed_out.", "lm_head."),
        ("llama", "model.", ""),
        ("gemma2", "model.", ""),
        ("gemma3", "language_model.model.", "model.language_model."),
        ("gemma3", "language_model.model.", "model."),
        ("phi3", "model.", ""),
    ],
)
def test_names_are_known_with_and_without_their_prefix(tmp_path: Path, name: str, old: str, new: str) -> None:
    same(rewritten(name, tmp_path, renamed(old, new)), name)


BUFFERS = {
    "gpt2": {"h__0__attn__bias": torch.zeros(1, 1, 96, 96), "h__0__attn__masked_bias": torch.tensor(-1e4)},
    "gpt-neox": {
        "gpt_neox__layers__1__attention__bias": torch.zeros(96, 96, dtype=torch.uint8),
        "gpt_neox__layers__1__attention__masked_bias": torch.tensor(-1e9),
        "gpt_neox__layers__1__attention__rotary_emb__inv_freq": torch.zeros(1),
    },
    "llama": {"model__layers__0__self_attn__rotary_emb__inv_freq": torch.zeros(4)},
    "mistral": {"model__rotary_emb__inv_freq": torch.zeros(4)},
    "opt": {"model__decoder__version": torch.zeros(1)},
    "opt 350m": {"model__decoder__final_layer_norm__weight": torch.zeros(32)},
}


@pytest.mark.parametrize("name", BUFFERS)
def test_known_buffers_are_passed_over(tmp_path: Path, name: str) -> None:
    same(rewritten(name, tmp_path, added(**BUFFERS[name])), name)


@pytest.mark.parametrize("name", ONE_EACH)
def test_an_unknown_tensor_is_refused(tmp_path: Path, name: str) -> None:
    path = rewritten(name, tmp_path, added(model__surprise__weight=torch.zeros(2)))
    with pytest.raises(DraftwiseError, match="'model.surprise.weight'.*has no place"):
        load(path)


@pytest.mark.parametrize("name", ONE_EACH)
def test_a_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    gone: list[str] = []

    def change(tensors: Tensors) -> Tensors:
        gone.append(next(key for key in tensors if ".1." in key and "vision" not in key))
        return {key: tensor for key, tensor in tensors.items() if key != gone[0]}

    with pytest.raises(DraftwiseError, match="config.json asks for it") as caught:
        load(rewritten(name, tmp_path, change))
    assert gone[0].split(".1.")[1] in str(caught.value)


TABLES = {
    "gpt2": "transformer.wte.weight",
    "qwen2": "model.embed_tokens.weight",
    "opt": "model.decoder.embed_tokens.weight",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_tied_head_may_be_stored_as_well(tmp_path: Path, name: str) -> None:
    path = rewritten(name, tmp_path, lambda tensors: tensors | {"lm_head.weight": tensors[TABLES[name]]})
    same(path, name)
    assert load(path).bytes_per_pass == own(name).bytes_per_pass


@pytest.mark.parametrize("name", TABLES)
def test_a_tied_head_may_be_all_that_is_stored(tmp_path: Path, name: str) -> None:
    same(rewritten(name, tmp_path, renamed(TABLES[name], "lm_head.weight")), name)


@pytest.mark.parametrize("name", TABLES)
@torch.no_grad()
def test_a_head_that_differs_is_not_tied_as_in_transformers(tmp_path: Path, name: str) -> None:
    head = torch.randn(96, 32, generator=torch.Generator().manual_seed(1))
    path = rewritten(name, tmp_path, added(lm_head__weight=head))
    theirs = type(reference(name)).from_pretrained(path, dtype=torch.float32).eval()
    assert torch.equal(theirs.lm_head.weight, head)
    close(whole(load(path), ids(2, 12)), theirs(input_ids=ids(2, 12)).logits)


def test_vision_weights_stay_behind() -> None:
    config = json.loads((directory("gemma3") / "config.json").read_text())
    names = load_file(directory("gemma3") / "model.safetensors")
    assert config["model_type"] == "gemma3" and any("vision_tower" in name for name in names)
    text = sum(tensor.nbytes for name, tensor in names.items() if "language_model" in name)
    assert own("gemma3").bytes_per_pass < 1.1 * text


@pytest.mark.parametrize("name", [*ONE_EACH, "gpt2 by depth", "opt bare"])
def test_bytes_per_pass_leaves_out_only_the_tables_that_are_looked_up(name: str) -> None:
    if name.startswith("gemma3") or name == "qwen3":
        pytest.skip("one norm for the heads of queries and keys is held for all of them")
    inner = reference(name)
    looked_up = sum(p.nbytes for key, p in inner.named_parameters() if "wpe" in key or "embed_positions" in key)
    if not inner.config.tie_word_embeddings:
        looked_up += inner.get_input_embeddings().weight.nbytes
    assert own(name).bytes_per_pass == sum(parameter.nbytes for parameter in inner.parameters()) - looked_up
