"""Names of models: local directories as they are, Hub ids from a server on this machine that plays the Hub."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fake_hub import COMMIT, TOKEN, FakeHub, serving
from tiny_opt import save_tiny_opt

from draftwise.errors import DraftwiseError
from draftwise.models.checkpoint import Checkpoint
from draftwise.models.hub import find_directory
from draftwise.models.tokenizer import load_tokenizer

CLUTTER = (
    "README.md", ".gitattributes", "pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "tf_model.h5", "model.gguf",
    "pytorch_model.bin.index.json", "flax_model.msgpack", "onnx/model.onnx", "onnx/config.json", "modeling_custom.py",
    "original/consolidated.00.pth", "consolidated.safetensors", "model.fp16.safetensors", "training_args.bin",
)  # fmt: skip


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    """Repositories that a user may meet."""
    root = tmp_path_factory.mktemp("hub")
    single = save_tiny_opt(root / "single")
    (single / "chat_template.jinja").write_text("{{ messages }}")
    for name in CLUTTER:
        (single / name).parent.mkdir(exist_ok=True)
        (single / name).write_text("clutter")
    sharded = save_tiny_opt(root / "sharded", shard_size="20KB")
    (sharded / "model-00009-of-00009.safetensors").write_text("of another index")
    pickled = save_tiny_opt(root / "pickled", tokenizer=False)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    empty = save_tiny_opt(root / "empty")
    (empty / "model.safetensors").rename(empty / "model.gguf")
    recurrent = save_tiny_opt(root / "recurrent", tokenizer=False)
    (recurrent / "config.json").write_text(json.dumps({"model_type": "mamba", "hidden_size": 32}))
    folders = {"org/single": single, "org/sharded": sharded, "pickled": pickled, "org/empty": empty}
    folders["org/recurrent"] = recurrent
    others = {name: single for name in ("org/gated", "org/private", "org/broken")}
    with serving(FakeHub({**folders, **others}, {"org/gated"}, {"org/private"}, {"org/broken"})) as fake:
        yield fake


@pytest.fixture(scope="module")
def cache(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that one process filled with three models."""
    path = tmp_path_factory.mktemp("cache")
    answers = hub.ask(path, ("org/single", None), ("org/sharded", "v1"), ("pickled", COMMIT))
    assert not [answer for answer in answers if answer.startswith("error")], answers
    return path


def snapshot(cache: Path, name: str) -> Path:
    return cache / "hub" / f"models--{name.replace('/', '--')}" / "snapshots" / COMMIT


def test_a_model_of_the_hub_loads(hub: FakeHub, cache: Path) -> None:
    for name in ("org/single", "org/sharded"):
        checkpoint = Checkpoint(snapshot(cache, name), torch.float32, torch.device("cpu"))
        original = Checkpoint(hub.repositories[name], torch.float32, torch.device("cpu"))
        weight = "model.decoder.layers.1.fc1.weight"
        assert torch.equal(checkpoint.take(weight, 64, 32), original.take(weight, 64, 32))
        assert checkpoint.elements == original.elements
    assert load_tokenizer(snapshot(cache, "org/single")).encode("w5 w9") == [5, 9]


def test_only_what_a_model_is_made_of_is_fetched(cache: Path) -> None:
    small = {"config.json", "generation_config.json", "tokenizer.json"}
    single = {path.name for path in snapshot(cache, "org/single").rglob("*")}
    assert single == small | {"chat_template.jinja", "model.safetensors"}
    sharded = {path.name for path in snapshot(cache, "org/sharded").rglob("*")}
    shards = {name for name in sharded if name.startswith("model-")}
    assert len(shards) > 2 and "model-00009-of-00009.safetensors" not in shards
    assert sharded == small | shards | {"model.safetensors.index.json"}
    pickled = {path.name for path in snapshot(cache, "pickled").rglob("*")}
    assert pickled == (small - {"tokenizer.json"}) | {"pytorch_model.bin"}


def test_the_second_time_nothing_is_fetched_and_the_network_is_not_needed(hub: FakeHub, cache: Path) -> None:
    served = len(hub.served)
    calls = ("org/single", None), ("org/single", "main"), ("org/sharded", "v1"), ("pickled", COMMIT)
    places = [str(snapshot(cache, name)) for name, _ in calls]
    assert hub.ask(cache, *calls) == places
    assert hub.ask(cache, *calls, HF_HUB_OFFLINE="1") == places
    assert hub.ask(cache, *calls, HF_ENDPOINT="http://127.0.0.1:9") == places
    assert len(hub.served) == served


def test_each_refusal_of_the_hub_is_one_line(hub: FakeHub, tmp_path: Path) -> None:
    calls = {
        ("org/nowhere", None): "no directory 'org/nowhere', and no such model on the Hugging Face Hub; check the name, "
        "or, if it is private, set HF_TOKEN or run `hf auth login`",
        ("nowhere", None): "no directory 'nowhere', and no such model on the Hugging Face Hub",
        ("org/private", None): "if it is private, set HF_TOKEN or run `hf auth login`",
        ("org/gated", None): "the model 'org/gated' is gated; ask for access on its page on the Hub, then set HF_TOKEN",
        ("org/single", "v9"): "the model 'org/single' has no revision 'v9'; give a branch, tag or commit of it",
        ("org/empty", None): "'org/empty' on the Hub has no model.safetensors nor pytorch_model.bin",
        ("org/broken", None): "the Hub refused the model 'org/broken' (HTTP status 503); try again later",
    }
    for answer, words in zip(hub.ask(tmp_path, *calls), calls.values(), strict=True):
        assert answer.startswith("error: ") and words in answer and "\n" not in answer, answer


def test_a_model_that_cannot_run_is_refused_before_its_weights_are_fetched(hub: FakeHub, tmp_path: Path) -> None:
    (answer,) = hub.ask(tmp_path, ("org/recurrent", None))
    assert answer.startswith("error: ") and "can't be rewound" in answer
    assert {path.name for path in snapshot(tmp_path, "org/recurrent").iterdir()} == {
        "config.json", "generation_config.json"
    }  # fmt: skip


def test_a_token_opens_what_is_gated_or_private(hub: FakeHub, tmp_path: Path) -> None:
    answers = hub.ask(tmp_path, ("org/gated", None), ("org/private", None), HF_TOKEN=TOKEN)
    assert answers == [str(snapshot(tmp_path, name)) for name in ("org/gated", "org/private")]


def test_a_token_that_is_no_longer_good_is_one_line(hub: FakeHub, tmp_path: Path) -> None:
    (answer,) = hub.ask(tmp_path, ("org/single", None), HF_TOKEN="hf_old")
    assert "HTTP status 401" in answer and "check your token: set HF_TOKEN" in answer and "\n" not in answer


def test_without_a_network_an_unknown_cache_is_one_line(hub: FakeHub, cache: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(cache, tmp_path / "partly", symlinks=True))
    missing = sorted(snapshot(copy, "org/sharded").glob("model-*"))[1]
    missing.unlink()
    calls = {
        ("org/other", None): ("no directory 'org/other'", "isn't in the cache, with HF_HUB_OFFLINE set", "unset it"),
        ("org/single", "v1"): ("the model 'org/single' isn't in the cache",),
        ("org/sharded", "v1"): ("'org/sharded' is only partly in the cache", missing.name, "HF_HUB_OFFLINE"),
    }
    for answer, words in zip(hub.ask(copy, *calls, HF_HUB_OFFLINE="1"), calls.values(), strict=True):
        assert answer.startswith("error: ") and "\n" not in answer
        assert [word for word in words if word not in answer] == [], answer
    refused = hub.ask(copy, *list(calls)[::2], HF_ENDPOINT="http://127.0.0.1:9")
    assert "can't fetch the model 'org/other' from the Hub" in refused[0] and "check the network" in refused[0]
    assert "only partly in the cache" in refused[1] and missing.name in refused[1]
    assert not [answer for answer in refused if "\n" in answer]


def test_a_full_disk_and_an_unwritable_cache_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def raising(number: int, *path: str) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number), *path)

        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)

    raising(errno.ENOSPC)
    with pytest.raises(DraftwiseError, match="no room on the disk for the model 'org/model'; .* HF_HOME"):
        find_directory("org/model")
    raising(errno.EACCES, "/cache/hub")
    with pytest.raises(DraftwiseError, match=r"can't store .*Permission denied: '/cache/hub'.*HF_HOME"):
        find_directory("org/model")


def test_a_local_directory_is_itself(tmp_path: Path) -> None:
    directory = save_tiny_opt(tmp_path / "model")
    assert find_directory(str(directory)) == directory


def test_a_local_directory_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(DraftwiseError, match="is a local path, which has no revision 'v1'; leave the revision out"):
        find_directory(str(save_tiny_opt(tmp_path / "model")), "v1")


@pytest.mark.parametrize(
    "name",
    ["./model", "../model", "/nowhere/model", "a/b/c", "model/", "~/model", "a--b/c d", "", ".", "org/.x", "x" * 99],
)
def test_what_can_be_no_id_is_a_missing_directory(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DraftwiseError, match="no directory|is an empty directory"):
        find_directory(name)


def test_a_file_and_an_empty_directory_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(DraftwiseError, match="is an empty directory"):
        find_directory(str(tmp_path / "empty"))
    with pytest.raises(DraftwiseError, match="is a file; give the directory"):
        find_directory(str(tmp_path / "file"))
