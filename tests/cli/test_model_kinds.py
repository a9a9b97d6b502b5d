"""Models of other makes from the command line: who runs them, that they are scored, and why one can't be used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from harness import Pair, Run, save_tokenizer
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, processors
from transformers import LlamaConfig, LlamaForCausalLM, MambaConfig, MambaForCausalLM, T5Config
from transformers import T5ForConditionalGeneration as T5

END = 256
VOCABULARY = 272  # the 256 bytes, the end of text, and padding


def written(directory: Path, model: Any, seed: int = 0, *, ends: bool = False) -> Path:
    """A random model with a byte for a token; ``ends`` closes each prompt as T5's tokenizer does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(directory)
    save_tokenizer(directory)
    if ends:
        tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", END)])
        tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def t5(layers: int) -> Any:
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_heads": 2, "vocab_size": VOCABULARY}
    return T5(T5Config(num_layers=layers, eos_token_id=END, pad_token_id=0, decoder_start_token_id=0, **shape))


def llama(hidden: int = 16) -> Any:
    shape = {"hidden_size": hidden, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": None, "eos_token_id": END, "pad_token_id": None}
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=512, **shape, **ends))


@pytest.fixture(scope="module")
def llamas(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    root = tmp_path_factory.mktemp("llamas")
    return Pair(written(root / "target", llama()), written(root / "draft", llama(8), seed=1))


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {"prompt": "Translate: Guten Tag.", "reference": "Good day.", "category": "translation"},
        {"turns": ["Name a river.", "And another?"], "reference": ["The Rhine.", "The Elbe."], "category": "chat"},
        {"prompt": "3 + 4 =", "reference": "7", "category": "math_reasoning"},
    ]
    path = tmp_path_factory.mktemp("prompts") / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def summary_of(run: Run, output: Path, *arguments: object) -> dict[str, Any]:
    outcome = run("bench", *arguments, "--repeats", 1, "--max-new-tokens", 12, "--output", output)
    assert outcome.code == 0, outcome
    assert "memory on cpu: weights" in outcome.err
    summary: dict[str, Any] = json.loads((output / "summary.json").read_text("utf-8"))
    return summary


def test_an_encoder_decoder_pair_is_measured_and_bild_is_scored(run: Run, prompts: Path, tmp_path: Path) -> None:
    target = written(tmp_path / "t5", t5(2), ends=True)
    draft = written(tmp_path / "small", t5(1), seed=1, ends=True)
    summary = summary_of(run, tmp_path / "run", "--target", target, "--draft", draft, "--data", prompts)
    models = summary["environment"]["models"]
    assert {models["target"]["implementation"], *(item["implementation"] for item in models["drafts"])} == {
        "transformers"
    }
    assert summary["overall"]["sps"]["agreement"] == 1.0
    assert summary["overall"]["bild"]["quality"] is not None
    assert list(summary["subtasks"]) == ["translation", "math_reasoning", "chat"]


@pytest.mark.parametrize("whose", ["own", "transformers"])
def test_the_two_forward_passes_mix_and_the_record_says_which_ran(
    run: Run, llamas: Pair, prompts: Path, tmp_path: Path, whose: str
) -> None:
    other = {"own": "transformers", "transformers": "own"}[whose]
    options = ("--implementation", whose, "--draft-implementation", other, "--data", prompts)
    summary = summary_of(run, tmp_path / "run", *llamas.options, *options)
    models = summary["environment"]["models"]
    assert models["target"]["implementation"] == whose
    assert [item["implementation"] for item in models["drafts"]] == [other]
    assert summary["overall"]["sps"]["agreement"] == 1.0


def test_both_forward_passes_write_the_same_answer(run: Run, llamas: Pair) -> None:
    answers = {
        whose: run("generate", "Hello", *llamas.options, "--implementation", whose, "--ignore-eos").out
        for whose in ("auto", "own", "transformers")
    }
    assert len(set(answers.values())) == 1
    assert len(answers["own"]) > 5


def test_pytorch_files_serve_where_there_is_no_safetensors(run: Run, llamas: Pair, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(llamas.target, tmp_path / "bin"))
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    answer = run("generate", "Hello", "--target", copy, "--method", "as")
    assert answer.code == 0
    assert answer.out == run("generate", "Hello", "--target", llamas.target, "--method", "as").out


def test_spec_benchs_questions_run_on_the_built_in_pair(run: Run, tmp_path: Path) -> None:
    sample = Path(__file__).parents[3] / "shared" / "data" / "spec-bench-sample.jsonl"
    if not sample.exists():
        pytest.skip("the sample of Spec-Bench's questions is not here")
    options = ("--suite", "spec-bench", "--data", sample, "--truncate", "left", "--limit", 2, "--methods", "as,sps")
    summary = summary_of(run, tmp_path / "run", *options)
    assert summary["samples"] == summary["planned_samples"] > 0
    assert summary["overall"]["sps"]["agreement"] == 1.0
    assert set(summary["subtasks"]) == {"multi-turn", "translation", "summarization", "qa", "math_reasoning", "rag"}
    assert summary["environment"]["prompts"] == 12


def change_weights(directory: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(directory / "model.safetensors")
    change(weights)
    save_file(weights, directory / "model.safetensors", {"format": "pt"})


def set_template(directory: Path, template: str) -> None:
    (directory / "chat_template.jinja").write_text(template, "utf-8")


Spoil = Callable[[Path], object]
NORM = "model.norm.weight"
SPOILED: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "a tensor missing": (lambda it: change_weights(it, lambda w: w.pop(NORM)), ("norm.weight", "asks for it")),
    "a tensor too many": (
        lambda it: change_weights(it, lambda w: w.update({"model.layers.0.extra.weight": torch.zeros(3)})),
        ("model.layers.0.extra.weight", "no place"),
    ),
    "a tensor of another shape": (
        lambda it: change_weights(it, lambda w: w.update({NORM: torch.ones(17)})), (NORM, "[17]", "[16]"),
    ),
    "a weight of whole numbers": (
        lambda it: change_weights(it, lambda w: w.update({NORM: torch.ones(16, dtype=torch.int64)})), ("I64", "F32"),
    ),
    "a chat template that fails": (lambda it: set_template(it, "{{ raise_exception('no') }}"), ("chat_template", "no")),
    "a chat template that is no template": (lambda it: set_template(it, "{% if %}"), ("chat_template",)),
    "quantised weights": (
        lambda it: (it / "config.json").write_text(
            json.dumps(json.loads((it / "config.json").read_text()) | {"quantization_config": {"quant_method": "awq"}})
        ),
        ("quanti",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("whose", ["own", "transformers"])
@pytest.mark.parametrize("spoil, words", SPOILED.values(), ids=SPOILED)
def test_a_model_that_cannot_be_used_is_refused_by_either_forward_pass(
    run: Run, llamas: Pair, tmp_path: Path, spoil: Spoil, words: tuple[str, ...], whose: str
) -> None:
    broken = Path(shutil.copytree(llamas.target, tmp_path / "broken"))
    spoil(broken)
    options = ("--target", broken, "--draft", llamas.draft, "--implementation", whose)
    run("generate", "hello", *options).refused_with(*words)
    run("bench", *options, "--output", tmp_path / "run").refused_with(*words)
    assert not (tmp_path / "run").exists()


def test_a_recurrent_model_is_refused_with_the_reason(run: Run, tmp_path: Path) -> None:
    shape = {"hidden_size": 16, "state_size": 4, "num_hidden_layers": 2, "vocab_size": VOCABULARY}
    mamba = written(tmp_path / "mamba", MambaForCausalLM(MambaConfig(**shape)))
    run("generate", "hello", "--target", mamba, "--method", "as").refused_with("mamba", "can't be rewound")


def test_an_unknown_implementation_is_refused_with_the_known_ones(run: Run, llamas: Pair) -> None:
    for option in ("--implementation", "--draft-implementation"):
        run("generate", "hello", *llamas.options, option, "magic").refused_with("'magic'", "auto, own, transformers")


def test_a_family_of_which_there_is_no_own_forward_is_refused_if_asked_for(run: Run, tmp_path: Path) -> None:
    target = written(tmp_path / "t5", t5(1), ends=True)
    run("generate", "hi", "--target", target, "--method", "as", "--implementation", "own").refused_with("'t5'", "llama")


def test_an_encoder_decoder_and_a_decoder_only_model_are_no_pair(run: Run, llamas: Pair, tmp_path: Path) -> None:
    target = written(tmp_path / "t5", t5(1))
    run("generate", "hello", "--target", target, "--draft", llamas.draft).refused_with("encoder-decoder", "one kind")


def test_transformers_that_is_missing_is_named_with_the_way_to_get_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = written(tmp_path / "t5", t5(1))
    assert transformers.__version__
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    run("generate", "hi", "--target", target, "--method", "as").refused_with('pip install "draftwise[transformers]"')
