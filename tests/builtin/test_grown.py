"""Grown models give what the small ones give, from files that draftwise and transformers read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_opt import reference, save_tiny_opt

from draftwise import Engine
from draftwise.builtin import draft_directory, grow, grown, target_directory
from draftwise.builtin.grown import write_weights
from draftwise.builtin.growth import grown_tensors
from draftwise.errors import DraftwiseError
from draftwise.models.checkpoint import Checkpoint
from draftwise.models.loading import load_model
from draftwise.tasks import Prompt, SuiteSource, load_suite

TURNS = {"method": "as", "max_new_tokens": 30}


@pytest.fixture(scope="module")
def prompts() -> tuple[Prompt, ...]:
    """The prompts of the default bench."""
    return tuple(load_suite(SuiteSource("builtin"), (), 20).prompts)


@pytest.fixture(scope="module")
def one_of_each(prompts: tuple[Prompt, ...]) -> list[str]:
    return [prompt.turns[0] for prompt in {prompt.subtask: prompt for prompt in prompts}.values()]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_opt(tmp_path_factory.mktemp("tiny") / "small")


def logits(directory: Path, ids: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return reference(directory)(ids).logits


def greedy(engine: Engine, texts: list[str]) -> list[tuple[int, ...]]:
    batches = [texts[start : start + 20] for start in range(0, len(texts), 20)]  # of one subtask: much the same length
    return [tuple(out.tokens) for batch in batches for out in engine.generate(batch, method="as", max_new_tokens=30)]


@pytest.mark.slow
def test_all_answers_of_a_wider_and_deeper_target_are_the_small_ones(
    prompts: tuple[Prompt, ...], tmp_path: Path
) -> None:
    texts = [prompt.turns[0] for prompt in prompts]
    assert len(texts) == 160
    grow("builtin", tmp_path / "big", hidden="×2", layers=10, ffn=1100)
    assert greedy(Engine.load(tmp_path / "big"), texts) == greedy(Engine.load("builtin"), texts)


@pytest.mark.parametrize(
    ("source", "sizes"),
    [
        ("builtin-target", {"like": "facebook/opt-125m"}),
        ("builtin-target", {"hidden": 768, "heads": 6, "layers": 11, "ffn": 1500, "vocab": 2750}),  # uneven copies
        ("builtin-target", {"hidden": 512, "heads": 4, "dtype": "float32"}),
        ("builtin-draft", {"hidden": 640, "heads": 8, "layers": 3}),  # heads of 80, as in OPT-2.7b
    ],
)
def test_answers_of_each_subtask_are_the_small_ones(
    one_of_each: list[str], tmp_path: Path, source: str, sizes: dict[str, str | int]
) -> None:
    assert len(one_of_each) == 8
    grow(source, tmp_path / "big", **sizes)  # type: ignore[arg-type]
    small = Engine.load(target_directory() if source == "builtin-target" else draft_directory())
    assert greedy(Engine.load(tmp_path / "big"), one_of_each) == greedy(small, one_of_each)


def test_a_target_and_a_draft_grown_alike_are_a_pair(one_of_each: list[str], tmp_path: Path) -> None:
    grow("builtin", tmp_path / "target", hidden=768, heads=6, layers=9, vocab=3000)
    grow("builtin-draft", tmp_path / "draft", hidden="x3", layers=3, vocab=2800)
    big, small = Engine.load(tmp_path / "target", tmp_path / "draft"), Engine.load("builtin", "builtin")
    for text in one_of_each[::2]:
        ours, theirs = (engine.generate(text, method="sps", gamma=4, max_new_tokens=30) for engine in (big, small))
        assert ours.tokens == big.generate(text, **TURNS).tokens
        assert (ours.tokens, ours.rounds) == (theirs.tokens, theirs.rounds)


@pytest.mark.parametrize("source", ["builtin-target", "builtin-draft"])
def test_transformers_gives_the_small_models_logits(one_of_each: list[str], tmp_path: Path, source: str) -> None:
    grow(source, tmp_path / "big", like="opt-125m", layers=9)
    ids = torch.tensor([Engine.load("builtin").encode(one_of_each[0])])
    small = logits(target_directory() if source == "builtin-target" else draft_directory(), ids)
    big = logits(tmp_path / "big", ids)
    assert (big[..., :2747] - small).abs().max() < 1e-3
    assert big[..., 2747:].max() < small.max(-1).values.min()


@pytest.mark.parametrize(
    "sizes", [{"hidden": "×3", "heads": 4, "layers": 5, "ffn": 150, "vocab": 77}, {"hidden": "x2"}, {"layers": "×2"}]
)
def test_random_weights_of_every_kind_are_kept(tiny: Path, tmp_path: Path, sizes: dict[str, str | int]) -> None:
    grow(tiny, tmp_path / "big", **sizes)
    ids = torch.arange(40).view(2, 20)
    small, big = logits(tiny, ids), logits(tmp_path / "big", ids)
    assert torch.allclose(big[..., :64], small, atol=1e-3)
    if big.shape[-1] > 64:
        assert big[..., 64:].max() < small.max(-1).values.min()


def test_a_padded_id_can_not_win_whatever_the_text_is(tiny: Path, tmp_path: Path) -> None:
    grow(tiny, tmp_path / "big", hidden="×4", vocab=80)
    big = logits(tmp_path / "big", torch.randint(64, (50, 60), generator=torch.Generator().manual_seed(1)))
    padded = big[..., 64:]
    assert padded.max() == padded.min() < big[..., :64].min()


def test_shards_hold_what_one_file_holds(tiny: Path, tmp_path: Path) -> None:
    done = grow(tiny, tmp_path / "big", hidden="×3", vocab=70)
    source = grown.open_source(tiny)
    shape = grown.shape_of(json.loads((tmp_path / "big" / "config.json").read_text()), "big")
    (tmp_path / "parts").mkdir()
    tensors = grown_tensors(source.weights(), source.shape, shape, torch.float32)
    write_weights(tmp_path / "parts", shape, tensors, "float32", limit=20_000)
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 3
    assert sum(path.stat().st_size for path in (tmp_path / "parts").glob("*.safetensors")) > done.weight_bytes
    shutil.copy(tmp_path / "big" / "config.json", tmp_path / "parts")
    ids = torch.arange(20)[None]
    assert torch.equal(logits(tmp_path / "parts", ids), logits(tmp_path / "big", ids))
    assert load_model(tmp_path / "parts").vocab_size == 70


def test_parameters_and_bytes_are_those_on_the_disk(tiny: Path, tmp_path: Path) -> None:
    done = grow(tiny, tmp_path / "big", hidden="×2", dtype="bfloat16")
    stored = Checkpoint(done.directory, torch.float32, torch.device("cpu"))
    assert stored.elements == done.parameters == sum(p.numel() for p in reference(done.directory).parameters())
    assert 0 < (done.directory / "model.safetensors").stat().st_size - done.weight_bytes < 10_000
    assert (done.directory / "tokenizer.json").read_bytes() == (tiny / "tokenizer.json").read_bytes()


def test_a_directory_that_exists_is_left_alone(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(DraftwiseError, match="exists"):
        grow(tiny, tmp_path, hidden="×2")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_found_out_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10**9))
    with pytest.raises(DraftwiseError, match=r"13\.3 GB .* has 1\.0 GB free"):
        grow("builtin", tmp_path / "deep" / "big", like="opt-6.7b")
    assert list(tmp_path.iterdir()) == []


def test_a_growth_that_is_stopped_leaves_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(grown, "grown_config", stop)
    with pytest.raises(KeyboardInterrupt):
        grow(tiny, tmp_path / "big", hidden="×2")
    assert list(tmp_path.iterdir()) == []
