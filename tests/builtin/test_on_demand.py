"""Models that are grown as they are loaded: the same tensors as on the disk, and none of them written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_opt import save_tiny_opt

from draftwise import Engine
from draftwise.builtin import draft_directory, grow, target_directory
from draftwise.builtin.on_demand import open_grown, parse_growth
from draftwise.builtin.shapes import PUBLISHED
from draftwise.errors import DraftwiseError
from draftwise.models.checkpoint import Checkpoint
from draftwise.models.loading import ModelSpec
from draftwise.pairs import Pairing
from draftwise.tasks import SuiteSource, load_suite

TARGET, DRAFT = "grown:hidden=768:heads=6:layers=10:vocab=3000", "grown:hidden=×3:vocab=2800"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_opt(tmp_path_factory.mktemp("tiny") / "small")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_size_is_opened_with_its_parameter_count_and_none_of_its_memory(name: str) -> None:
    draft = "grown:facebook/opt-125m"
    specs = [ModelSpec(model, dtype="bfloat16", backend="plain") for model in (f"grown:{name}", draft)]
    pairing = Pairing.open(specs[0], specs[1:])
    assert pairing.target.checkpoint.elements == PUBLISHED[name].parameters
    assert pairing.drafts[0].checkpoint.elements == PUBLISHED["facebook/opt-125m"].parameters
    weights = pairing.target.memory("target", batch=1, context=200, chunk=512).weights
    assert weights == 2 * PUBLISHED[name].parameters
    assert pairing.target.config["num_hidden_layers"] == PUBLISHED[name].layers


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_tensors_are_those_of_the_directory_that_grow_writes(tiny: Path, tmp_path: Path, dtype: str) -> None:
    sizes = {"hidden": "×3", "heads": "3", "layers": "5", "ffn": "150", "vocab": "77"}
    grow(tiny, tmp_path / "big", dtype=dtype, **sizes)
    kind, cpu = {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype], torch.device("cpu")
    written = Checkpoint(tmp_path / "big", kind, cpu)
    name = "grown:" + ":".join(f"{size}={value}" for size, value in sizes.items())
    opened = open_grown(ModelSpec(name, dtype=dtype), tiny)
    assert opened.config["hidden_size"] == json.loads((tmp_path / "big" / "config.json").read_text())["hidden_size"]
    tensors = {key: tuple(stored.shape) for key, stored in written._left.items()}
    assert opened.checkpoint.elements == written.elements
    for key, shape in reversed(tensors.items()):  # in another order than that of growth
        taken = opened.checkpoint.take(key, *shape)
        assert taken.dtype == kind and torch.equal(taken, written.take(key, *shape)), key
    opened.checkpoint.expect_none_left()


def test_a_grown_pair_answers_and_guesses_as_the_small_one() -> None:
    prompts = load_suite(SuiteSource("builtin"), (), 1).prompts
    texts = [prompt.turns[0] for prompt in prompts]
    big, small = Engine.load(TARGET, DRAFT), Engine.load()
    assert len(texts) == 8
    for method in ("as", "sps"):
        ours = big.generate(texts, method=method, gamma=4, max_new_tokens=30)
        theirs = small.generate(texts, method=method, gamma=4, max_new_tokens=30)
        assert [(one.tokens, one.rounds) for one in ours] == [(one.tokens, one.rounds) for one in theirs]


def test_a_grown_target_goes_with_the_built_in_draft() -> None:
    engine = Engine.load("grown:layers=9", "builtin")
    assert engine.draft is not None and engine.draft.vocab_size == 2747
    drafted, plain = (engine.generate("Ada", method=method, max_new_tokens=5) for method in ("sps", "as"))
    assert drafted.tokens == plain.tokens


def test_target_and_draft_are_grown_from_their_own() -> None:
    pairing = Pairing.open(ModelSpec("grown:opt-125m"), [ModelSpec("grown:opt-125m")])
    assert (pairing.target.directory, pairing.drafts[0].directory) == (target_directory(), draft_directory())
    assert pairing.tokenizer is not None


def test_a_name_gives_a_model_and_sizes() -> None:
    assert parse_growth("grown:facebook/opt-6.7b") == ("facebook/opt-6.7b", {})
    assert parse_growth("grown:opt-6.7b:layers=8:hidden=x4") == ("opt-6.7b", {"layers": "8", "hidden": "x4"})
    assert parse_growth("grown:hidden=×3") == (None, {"hidden": "×3"})


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"name": "grown:"}, ("'grown:'", "grown:facebook/opt-6.7b")),
        ({"name": "grown:gpt-5"}, ("'gpt-5'", "facebook/opt-1.3b")),
        ({"name": "grown:facebook/opt-350m"}, ("facebook/opt-350m", "facebook/opt-125m")),
        ({"name": "grown:opt-125m:depth=3"}, ("'depth'", "layers")),
        ({"name": "grown:layers=9:layers=10"}, ("layers twice",)),
        ({"name": "grown:hidden=300"}, ("300", "multiple of 256")),
        ({"name": "grown:layers=many"}, ("layers must", "'many'")),
        ({"name": "grown:layers=9", "revision": "main"}, ("no revision 'main'",)),
        ({"name": "grown:layers=9", "implementation": "transformers"}, ("draftwise grow",)),
        ({"name": "grown:layers=9", "device": "cuda:99"}, ("'cuda:99'",)),
    ],
)
def test_a_name_that_is_of_no_use_is_one_line(spec: dict[str, str], words: tuple[str, ...]) -> None:
    with pytest.raises(DraftwiseError) as caught:
        Pairing.open(ModelSpec(**spec))
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value), caught.value


def test_a_device_that_is_full_is_said(monkeypatch: pytest.MonkeyPatch, tiny: Path) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    opened = open_grown(ModelSpec("grown:hidden=×2"), tiny)
    monkeypatch.setattr("draftwise.builtin.growth.divide", full)
    with pytest.raises(DraftwiseError, match=r"can't grow .*q_proj.weight' on cpu \(CUDA out of memory"):
        opened.checkpoint.take("model.decoder.layers.0.self_attn.q_proj.weight", 64, 64)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_device_grows_what_the_processor_grows(dtype: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    names = ("embed_tokens.weight", "final_layer_norm.bias", "layers.0.self_attn.q_proj.weight", "layers.9.fc2.weight")
    big = {name: PUBLISHED["facebook/opt-2.7b"].tensors()[f"model.decoder.{name}"] for name in names}
    there, here = (
        open_grown(
            ModelSpec("grown:facebook/opt-2.7b", dtype=dtype, device=device, backend="plain"), target_directory()
        )
        for device in ("cuda", "cpu")
    )
    for name, shape in big.items():
        grown = there.checkpoint.take(f"model.decoder.{name}", *shape)
        assert grown.is_cuda and torch.equal(grown.cpu(), here.checkpoint.take(f"model.decoder.{name}", *shape)), name
