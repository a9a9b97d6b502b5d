"""The memory estimate, held to the bytes of real models and caches, and what a device is said to have free."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from tiny_opt import save_tiny_opt
from torch import Tensor
from transformers import (
    FalconConfig,
    FalconForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from draftwise.errors import DraftwiseError
from draftwise.models import memory
from draftwise.models.checkpoint import Checkpoint
from draftwise.models.loading import load_model
from draftwise.models.memory import Footprint, ModelMemory, check_memory, free_bytes, model_memory

CONTEXT = 12


def estimate(directory: Path, itemsize: int = 4, **sizes: int) -> ModelMemory:
    config = json.loads((directory / "config.json").read_text())
    elements = Checkpoint(directory, torch.float32, torch.device("cpu")).elements
    taken = Footprint(elements * itemsize, itemsize, itemsize)
    given = {"batch": 1, "context": CONTEXT, "chunk": 512} | sizes
    return model_memory("target", config, taken, "cpu", **given)


def tensor_bytes(value: Any) -> int:
    """The bytes of all tensors that a value holds."""
    if isinstance(value, Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(tensor_bytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(tensor_bytes, value))
    slots = {name: getattr(value, name) for name in getattr(type(value), "__slots__", ())}
    return tensor_bytes({**getattr(value, "__dict__", {}), **slots}) if type(value).__module__ != "builtins" else 0


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("dtype", "itemsize"), [("float32", 4), ("bfloat16", 2)])
def test_the_own_cache_takes_what_was_estimated(tmp_path: Path, dtype: str, itemsize: int, batch: int) -> None:
    directory = save_tiny_opt(tmp_path, hidden=64, layers=3, heads=4)
    cache = load_model(directory, dtype=dtype, backend="plain").new_cache(batch, CONTEXT)
    estimated = estimate(directory, itemsize, batch=batch).cache
    assert estimated == pytest.approx(tensor_bytes(cache), rel=0.02)


def two_sided() -> PreTrainedModel:
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=40, d_model=24, d_kv=5, d_ff=32, num_layers=1, num_decoder_layers=3, num_heads=4,
            decoder_start_token_id=0,
        )
    )  # fmt: skip


TINY = {
    "grouped queries": lambda: LlamaForCausalLM(
        LlamaConfig(
            vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=10,
        )
    ),
    "other names": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=40, n_embd=24, n_layer=3, n_head=4, n_positions=32)),
    "one key for all": lambda: FalconForCausalLM(
        FalconConfig(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, multi_query=True)
    ),
    "two-sided": two_sided,
}  # fmt: skip


@pytest.mark.parametrize("make", TINY.values(), ids=TINY)
def test_the_figures_are_those_of_transformers(tmp_path: Path, make: Any) -> None:
    model = make().eval()
    model.save_pretrained(tmp_path)
    found = estimate(tmp_path)
    assert found.weights == 4 * sum(parameter.numel() for parameter in model.parameters())
    ids = torch.ones(1, CONTEXT, dtype=torch.int64)
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        cache = model(input_ids=ids, **more, use_cache=True).past_key_values
    sides = [cache.self_attention_cache, cache.cross_attention_cache] if more else [cache]
    actual = sum(layer.keys.nbytes + layer.values.nbytes for side in sides for layer in side.layers)
    spare = actual // (CONTEXT * len(sides))  # the one entry more that our own cache has
    assert found.cache == actual + spare


def test_a_nested_config_counts(tmp_path: Path) -> None:
    inner = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "num_key_value_heads": 1}
    sizes = {"batch": 2, "context": 9, "chunk": 4}
    taken = Footprint(0, 2, 2)
    found = model_memory("target", {"model_type": "x", "text_config": inner}, taken, "cpu", **sizes)
    assert found == model_memory("target", inner, taken, "cpu", **sizes)
    assert found.cache == 2 * (2 * 2 * 1 * 8 * 2) * 10


@pytest.mark.parametrize("value", [None, "12", -3, True, [4]])
def test_a_size_of_no_use_leaves_the_check_to_the_loader(value: object) -> None:
    config = {"num_hidden_layers": value, "hidden_size": value, "num_attention_heads": value, "vocab_size": value}
    found = model_memory("draft", config, Footprint(400, 4, 4), "cpu", batch=1, context=8, chunk=8)
    assert (found.weights, found.cache) == (400, 0)


def test_the_workspace_covers_a_chunk_and_not_the_whole_prompt(tmp_path: Path) -> None:
    directory = save_tiny_opt(tmp_path, hidden=64, layers=1, heads=4, vocab_size=500)
    small, large = (estimate(directory, context=4000, chunk=chunk).workspace for chunk in (128, 4000))
    scores = 128 * 4000 * 4 * 4  # T × S × heads × bytes
    assert scores + 16 * 500 * 4 < small < large / 20


def given_free(monkeypatch: pytest.MonkeyPatch, **free: float) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: int(free[device.replace(":", "")]))


def test_what_fits_is_shown_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    given_free(monkeypatch, cpu=20.14e9)
    models = [
        ModelMemory("target", "cpu", int(13e9), int(5e8), int(8e7)),
        ModelMemory("draft", "cpu", int(3e8), int(1e8), int(4e7)),
    ]
    assert check_memory(models) == "memory on cpu: weights 13.3 GB, caches 0.6 GB, workspace 0.1 GB; 20.1 GB free"


def test_each_device_has_its_own_part(monkeypatch: pytest.MonkeyPatch) -> None:
    given_free(monkeypatch, cpu=2e9, cuda0=8e10, cuda1=4e10)
    models = [ModelMemory(*head, 10**9, 10**6, 500) for head in (("target", "cuda"), ("draft", "cpu"), ("b", "cuda:0"))]
    assert check_memory(models) == (
        "memory on cuda:0: weights 2.0 GB, caches 2.0 MB, workspace 0.0 MB; 80.0 GB free; "
        "cpu: weights 1.0 GB, caches 1.0 MB, workspace 0.0 MB; 2.0 GB free"
    )


def test_what_does_not_fit_is_refused_with_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    given_free(monkeypatch, cpu=8e9, cuda0=1e12)
    models = [
        ModelMemory("target", "cpu", int(13.3e9), int(2e9), int(3e8)),
        ModelMemory("draft", "cpu", int(3e8), int(1e8), 0),
        ModelMemory("other", "cuda:0", int(9e9), 0, 0),
    ]
    with pytest.raises(DraftwiseError) as caught:
        check_memory(models)
    assert str(caught.value) == (
        "not enough memory on cpu: weights 13.6 GB (target 13.3 GB and draft 0.3 GB), caches 2.1 GB and workspace "
        "0.3 GB make 16.0 GB, but 8.0 GB is free; choose a smaller dtype, a shorter context, a smaller batch, "
        "or another device"
    )


def test_a_model_as_large_as_no_machine_is_refused_for_real(tmp_path: Path) -> None:
    directory = save_tiny_opt(tmp_path)
    huge = estimate(directory)._replace(weights=10**16)
    with pytest.raises(DraftwiseError, match="not enough memory on cpu: weights 10000000.0 GB"):
        check_memory([huge])
    assert check_memory([estimate(directory)]).startswith("memory on cpu: weights 0.")


def test_the_processor_has_no_more_than_is_available() -> None:
    assert 0 < free_bytes("cpu") <= psutil.virtual_memory().total


def test_cuda_is_asked_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(device.split(":")[1]) + 7, 99))
    assert free_bytes("cuda:1") == 8


def save_group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def rooms(root: Path, own: str) -> list[int]:
    (root / "own").write_text(own)
    return memory._cgroup_rooms(root / "fs", root / "own")


def test_limits_of_every_enclosing_group_hold(tmp_path: Path) -> None:
    outer = tmp_path / "fs" / "outer"
    save_group(outer, memory__max=1000, memory__current=600, memory__stat="anon 1\ninactive_file 150\nfile 2")
    save_group(outer / "inner", memory__max=900, memory__current=100, memory__stat="")
    save_group(outer / "inner" / "free", memory__max="max", memory__current=100)
    assert rooms(tmp_path, "0::/outer/inner/free\n") == [800, 550]


def test_the_older_groups_hold_too(tmp_path: Path) -> None:
    group = tmp_path / "fs" / "memory" / "job"
    stat = "inactive_file 5\ntotal_inactive_file 50"
    save_group(group, memory__limit_in_bytes=500, memory__usage_in_bytes=300, memory__stat=stat)
    save_group(group.parent, memory__limit_in_bytes=9223372036854771712, memory__usage_in_bytes=1)
    assert rooms(tmp_path, "5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n") == [250]


def test_a_group_that_this_container_does_not_see_is_read_at_the_root(tmp_path: Path) -> None:
    save_group(tmp_path / "fs", memory__max=1000, memory__current=400, memory__stat="")
    assert rooms(tmp_path, "0::/kubepods/pod\n") == [600]
    assert memory._cgroup_rooms(tmp_path / "none", tmp_path / "missing") == []


def test_a_full_group_leaves_nothing_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_group(tmp_path, memory__max=100, memory__current=400, memory__stat="")
    (tmp_path / "own").write_text("0::/\n")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_CGROUPS", tmp_path / "own")
    assert free_bytes("cpu") == 0
