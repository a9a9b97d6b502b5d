"""Loading a directory, and the one line that each bad one earns."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_opt import save_tiny_opt
from torch import Tensor

from draftwise.errors import DraftwiseError
from draftwise.models.loading import load_model
from draftwise.models.protocol import CausalLM

Spoil = Callable[[Path], object]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_opt(tmp_path_factory.mktemp("good"))


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    """A good directory to spoil."""
    return Path(shutil.copytree(good, tmp_path / "model"))


def logits(model: CausalLM) -> Tensor:
    cache = model.new_cache(1, 8)
    return model.forward(torch.tensor([[5, 9, 2]]), torch.zeros(1, dtype=torch.int64), cache, span=3, keep=3)


def refused(directory: str | Path, *words: str, **options: Any) -> None:
    with pytest.raises(DraftwiseError) as caught:
        load_model(directory, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    for word in words:
        assert word in message, message


def edit(name: str = "config.json", **values: object) -> Spoil:
    """Set keys of a JSON file, which need not exist."""

    def spoil(directory: Path) -> None:
        path = directory / name
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | values))

    return spoil


def drop(key: str) -> Spoil:
    def spoil(directory: Path) -> None:
        config = json.loads((directory / "config.json").read_text())
        del config[key]
        (directory / "config.json").write_text(json.dumps(config))

    return spoil


def weights(change: Callable[[dict[str, Tensor]], object]) -> Spoil:
    def spoil(directory: Path) -> None:
        tensors = load_file(directory / "model.safetensors")
        change(tensors)
        save_file(tensors, directory / "model.safetensors")

    return spoil


def write(name: str, content: bytes) -> Spoil:
    return lambda directory: (directory / name).write_bytes(content)


def remove(name: str) -> Spoil:
    return lambda directory: (directory / name).unlink()


def cut(name: str, size: int) -> Spoil:
    return lambda directory: (directory / name).write_bytes((directory / name).read_bytes()[:size])


def pickled(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")


def shards(index: object) -> Spoil:
    def spoil(directory: Path) -> None:
        (directory / "model.safetensors").unlink()
        text = index if isinstance(index, str) else json.dumps(index)
        (directory / "model.safetensors.index.json").write_text(text)

    return spoil


FC1 = "model.decoder.layers.1.fc1.weight"

BAD: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "no config": (remove("config.json"), ("no config.json in", "model")),
    "config cut": (cut("config.json", 40), ("config.json", "isn't valid JSON")),
    "config of bytes": (write("config.json", b"\xff\xfe\x00"), ("config.json", "isn't valid JSON")),
    "config nested too deep": (write("config.json", b"[" * 100_000), ("isn't valid JSON",)),
    "config a list": (write("config.json", b"[]"), ("must hold a JSON object, not list",)),
    "another architecture": (edit(model_type="llama"), ("config.json lacks intermediate_size",)),
    "an unknown architecture": (edit(model_type="nonesuch"), ("nonesuch",)),
    "no architecture": (drop("model_type"), ("config.json", "names no model_type")),
    "a list for architecture": (edit(model_type=["opt"]), ("config.json", "model_type")),
    "lacking key": (drop("hidden_size"), ("lacks hidden_size",)),
    "lacking keys": (drop("ffn_dim"), ("config.json", "lacks ffn_dim")),
    "text for a number": (edit(vocab_size="64"), ("vocab_size must be a whole number of at least 1, not '64'",)),
    "true for a number": (edit(ffn_dim=True), ("ffn_dim", "True")),
    "a fraction": (edit(hidden_size=32.0), ("hidden_size", "32.0")),
    "zero layers": (edit(num_hidden_layers=0), ("num_hidden_layers must be a whole number of at least 1, not 0",)),
    "negative positions": (edit(max_position_embeddings=-1), ("max_position_embeddings", "-1")),
    "null heads": (edit(num_attention_heads=None), ("num_attention_heads", "None")),
    "heads that don't divide": (edit(num_attention_heads=5), ("hidden_size 32", "num_attention_heads 5")),
    "number for a flag": (edit(do_layer_norm_before=1), ("do_layer_norm_before must be true or false, not 1",)),
    "unknown activation": (edit(activation_function="nonesuch"), ("nonesuch",)),
    "number for an activation": (edit(activation_function=3), ("activation_function", "3")),
    "more layers than the file": (edit(num_hidden_layers=3), ("layers.2.", "config.json asks for it")),
    "fewer layers than the file": (edit(num_hidden_layers=1), ("layers.1.", "no place")),
    "huge sizes": (edit(vocab_size=10**15), ("embed_tokens.weight", "[64, 32]")),
    "odd eos": (edit("generation_config.json", eos_token_id="</s>"), ("eos_token_id", "'</s>'")),
    "negative eos": (edit("generation_config.json", eos_token_id=[2, -1]), ("generation_config.json", "[2, -1]")),
    "generation config cut": (write("generation_config.json", b"{"), ("generation_config.json", "valid JSON")),
    "no weights": (remove("model.safetensors"), ("no weights in", "model.safetensors", "pytorch_model.bin")),
    "pickled weights": (pickled, ("pytorch_model.bin", "fetch the file again")),
    "weights cut in the header": (cut("model.safetensors", 100), ("model.safetensors", "fetch")),
    "weights cut in the data": (cut("model.safetensors", 20_000), ("model.safetensors", "fetch")),
    "empty weights": (write("model.safetensors", b""), ("model.safetensors", "fetch")),
    "a pointer for weights": (write("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"), ("fetch",)),
    "missing tensor": (weights(lambda t: t.pop(FC1)), ("layers.1.fc1.weight", "config.json asks for it")),
    "wrong shape": (weights(lambda t: t.update({FC1: torch.zeros(64, 31)})), (FC1, "[64, 31]", "[64, 32]")),
    "integers": (weights(lambda t: t.update({FC1: torch.zeros(64, 32, dtype=torch.int8)})), (FC1, "I8", "BF16")),
    "untied without a head": (edit(tie_word_embeddings=False), ("lm_head.weight",)),
    "index not JSON": (shards("{"), ("model.safetensors.index.json", "valid JSON")),
    "index without a map": (shards({}), ("model.safetensors.index.json", "weight_map")),
    "index with a number": (shards({"weight_map": {FC1: 3}}), ("weight_map",)),
    "index of nothing": (shards({"weight_map": {}}), ("weight_map",)),
    "missing shard": (shards({"weight_map": {FC1: "part-2.safetensors"}}), ("part-2.safetensors", "model")),
}


@pytest.mark.parametrize(("spoil", "words"), BAD.values(), ids=BAD)
def test_a_bad_directory_earns_one_clear_line(copy: Path, spoil: Spoil, words: tuple[str, ...]) -> None:
    load_model(copy)
    spoil(copy)
    refused(copy, *words)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere" / "model", "nowhere/model", "no directory", "config.json")


def test_a_hub_id_that_is_not_cached_says_so_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    refused("facebook/opt-125m", "no directory 'facebook/opt-125m'", "isn't in the cache", "HF_HUB_OFFLINE")


def test_a_file_for_a_directory_is_named(copy: Path) -> None:
    refused(copy / "config.json", "config.json", "is a file")


def test_an_empty_directory_is_named(tmp_path: Path) -> None:
    refused(tmp_path, str(tmp_path), "empty directory")


@pytest.mark.parametrize("dtype", ["int4", "float", "", "torch.float32"])
def test_an_unknown_dtype_lists_the_known(good: Path, dtype: str) -> None:
    refused(good, "unknown dtype", repr(dtype), "float32, bfloat16, float16, float64, int8", dtype=dtype)


@pytest.mark.parametrize("device", ["cuda:99", "mps", "", "cuda:", "cpu:0", "cuda:-1", "gpu"])
def test_an_absent_device_lists_the_available(good: Path, device: str) -> None:
    refused(good, "no device", repr(device), "available: cpu", device=device)


def test_a_bare_cuda_without_a_card_is_absent(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    refused(good, "no device 'cuda'", "available: cpu", device="cuda")


def test_a_model_too_large_for_the_device_is_refused(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("out of memory.\nTried to allocate 1 TiB")

    monkeypatch.setattr(torch, "empty", full)
    refused(good, "embed_tokens.weight", "cpu", "out of memory", "smaller dtype")


@pytest.mark.parametrize("tied", [True, False])
def test_shards_load_like_a_single_file(tmp_path: Path, tied: bool) -> None:
    one = save_tiny_opt(tmp_path / "one", tie_word_embeddings=tied)
    many = save_tiny_opt(tmp_path / "many", tie_word_embeddings=tied, shard_size="20KB")
    assert len(list(many.glob("*.safetensors"))) > 2 and not (many / "model.safetensors").exists()
    assert torch.equal(logits(load_model(one)), logits(load_model(many)))


@pytest.mark.parametrize("new_format", [True, False])
def test_pytorch_files_load_like_safetensors(copy: Path, new_format: bool) -> None:
    expected = logits(load_model(copy))
    tensors = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    names = list(tensors)
    weight_map = {name: f"pytorch_model-0000{1 + index % 2}-of-00002.bin" for index, name in enumerate(names)}
    for file in sorted(set(weight_map.values())):
        part = {name: tensors[name] for name in names if weight_map[name] == file}
        torch.save(part, copy / file, _use_new_zipfile_serialization=new_format)
    (copy / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert torch.equal(logits(load_model(copy)), expected)


@pytest.mark.parametrize("prefix", ["", "decoder."])
def test_names_load_with_and_without_their_prefixes(copy: Path, prefix: str) -> None:
    expected = logits(load_model(copy))
    tensors = load_file(copy / "model.safetensors")
    renamed = {name.replace("model.decoder.", prefix): tensor for name, tensor in tensors.items()}
    save_file(renamed, copy / "model.safetensors")
    assert torch.equal(logits(load_model(copy)), expected)


def test_a_missing_embedding_width_is_the_hidden_size(copy: Path) -> None:
    expected = logits(load_model(copy))
    drop("word_embed_proj_dim")(copy)
    assert torch.equal(logits(load_model(copy)), expected)


def test_the_model_outlives_its_file(copy: Path) -> None:
    model = load_model(copy)
    expected = logits(model)
    with open(copy / "model.safetensors", "r+b") as file:  # in place, as a mapped file would see it
        file.write(b"\0" * (copy / "model.safetensors").stat().st_size)
    assert torch.equal(logits(model), expected)


EOS: tuple[tuple[object, object, tuple[int, ...]], ...] = (
    (2, None, (2,)),
    ([2, 7], None, (2, 7)),
    (None, None, ()),
    (2, 5, (5,)),
    (2, [5, 6], (5, 6)),
    (0, None, (0,)),
    (2, 0, (0,)),
)


@pytest.mark.parametrize(("config", "generation", "expected"), EOS)
def test_eos_ids_come_from_the_generation_config_first(
    copy: Path, config: object, generation: object, expected: tuple[int, ...]
) -> None:
    edit(eos_token_id=config)(copy)
    edit("generation_config.json", eos_token_id=generation)(copy)
    assert load_model(copy).eos_token_ids == expected


def test_eos_ids_come_from_the_config_without_a_generation_config(copy: Path) -> None:
    (copy / "generation_config.json").unlink()
    assert load_model(copy).eos_token_ids == (2,)
    edit(eos_token_id=[True])(copy)
    refused(copy, "config.json", "eos_token_id", "[True]")
