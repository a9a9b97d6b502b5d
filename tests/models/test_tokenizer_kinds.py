"""The tokenizers that people bring, held to the ids of transformers' AutoTokenizer."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as Inner
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, GPT2Tokenizer, PreTrainedTokenizerFast

from draftwise.errors import DraftwiseError
from draftwise.models.tokenizer import has_tokenizer, load_tokenizer

CORPUS = ["the quick brown fox jumps over the lazy dog. It's 12345 o'clock, naïve café 中文 🙂 [INST]"] * 20
TEXTS = (
    "the quick fox", "  two  spaces\nand\tmore ", " It's 99 naïve", "", " ", "</s> mid <s>x",
    "<s>[INST] the fox [/INST]", "中文🙂 unseen: Ω", "<pad>dog</s>",
)  # fmt: skip
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>"]
NAMED = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def byte_level(special: list[str] = SPECIAL, **trained: Any) -> Inner:
    inner = Inner(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=special, show_progress=False, **trained
    )
    inner.train_from_iterator(CORPUS, trainer)
    return inner


def llama() -> Inner:
    inner = Inner(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    inner.decoder = decoders.Sequence(parts)
    special = [*SPECIAL[:3], *(f"<0x{byte:02X}>" for byte in range(256))]
    inner.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=420, special_tokens=special, show_progress=False))
    return inner


def unigram(split: bool) -> Inner:
    inner = Inner(models.Unigram())
    inner.normalizer = normalizers.Sequence([]) if split else normalizers.Replace(" ", "▁")
    mark = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    inner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), mark]) if split else mark
    inner.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token="<unk>", show_progress=False)
    inner.train_from_iterator(CORPUS, trainer)
    return inner


def led(inner: Inner, single: str, *names: str) -> Inner:
    tokens = [(name, inner.token_to_id(name)) for name in names]
    inner.post_processor = processors.TemplateProcessing(single=single, pair=f"{single} $B", special_tokens=tokens)
    return inner


def plain_bytes(inner: Inner) -> Inner:
    inner.post_processor = processors.ByteLevel(trim_offsets=False)
    return inner


Make = Callable[[], Inner]
END = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>"}
T5 = {"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "extra_ids": 0}
LLAMA = {"tokenizer_class": "LlamaTokenizer", **NAMED}
KINDS: dict[str, tuple[Make, str | None, dict[str, Any]]] = {
    "gpt2": (lambda: plain_bytes(byte_level()), "gpt2", {"tokenizer_class": "GPT2Tokenizer", **END}),
    "opt": (lambda: led(byte_level(), "</s> $A", "</s>"), "opt", {"tokenizer_class": "GPT2Tokenizer", **END}),
    "bos asked for, not in the file": (
        lambda: plain_bytes(byte_level()), "opt", {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, **END}
    ),
    "bos not asked for, in the file": (
        lambda: led(llama(), "<s> $A", "<s>"), "llama", {**LLAMA, "add_bos_token": False}
    ),
    "llama 2": (lambda: led(llama(), "<s> $A", "<s>"), "llama", LLAMA),
    "llama 2 without config.json": (lambda: led(llama(), "<s> $A", "<s>"), None, {**LLAMA, "legacy": False}),
    "llama 2 legacy": (lambda: led(llama(), "<s> $A", "<s>"), "llama", {**LLAMA, "legacy": True}),
    "llama 2 no prefix": (lambda: led(llama(), "<s> $A", "<s>"), "llama", {**LLAMA, "add_prefix_space": False}),
    "llama fast": (llama, "llama", {**LLAMA, "tokenizer_class": "LlamaTokenizerFast", "add_bos_token": True}),
    "llama 3": (
        lambda: led(byte_level(), "<s> $A", "<s>"), "llama", {"tokenizer_class": "PreTrainedTokenizerFast", **NAMED}
    ),
    "llama 3 that says llama": (lambda: led(byte_level(), "<s> $A", "<s>"), "llama", LLAMA),
    "mistral": (lambda: led(llama(), "<s> $A", "<s>"), "mistral", LLAMA),
    "phi 3": (lambda: led(llama(), "<s> $A", "<s>"), "phi3", {**LLAMA, "add_bos_token": False}),
    "pythia": (lambda: plain_bytes(byte_level()), "gpt_neox", {"tokenizer_class": "GPTNeoXTokenizer", **NAMED}),
    "t5": (lambda: led(unigram(True), "$A </s>", "</s>"), "t5", T5),
    "unigram": (
        lambda: led(unigram(False), "$A </s>", "</s>"), "gemma2",
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"},
    ),
    "special only by the config": (
        lambda: byte_level(["<unk>"]), None,
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": {"content": "the", "__type": "AddedToken"}},
    ),
}  # fmt: skip


def save(directory: Path, inner: Inner, family: str | None, config: dict[str, Any]) -> None:
    inner.save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    if family is not None:
        (directory / "config.json").write_text(json.dumps({"model_type": family}))


def expect_ids_of_transformers(directory: Path) -> None:
    ours, theirs = load_tokenizer(directory), AutoTokenizer.from_pretrained(directory)
    for text in TEXTS:
        ids = theirs(text)["input_ids"]
        assert ours.encode(text) == ids, text
        assert ours.encode(text, special_tokens=False) == theirs(text, add_special_tokens=False)["input_ids"], text
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize(("make", "family", "config"), KINDS.values(), ids=KINDS)
def test_ids_are_those_of_transformers(tmp_path: Path, make: Make, family: str | None, config: dict[str, Any]) -> None:
    save(tmp_path, make(), family, config)
    assert has_tokenizer(tmp_path)
    expect_ids_of_transformers(tmp_path)


def test_the_post_processor_can_be_left_out(tmp_path: Path) -> None:
    save(tmp_path, led(byte_level(), "<s> $A </s>", "<s>", "</s>"), None, NAMED)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode("fox")[0] == 1 and tokenizer.encode("fox")[-1] == 2
    assert tokenizer.encode("fox", special_tokens=False) == tokenizer.encode("fox")[1:-1]
    assert tokenizer.encode("<s>fox", special_tokens=False)[0] == 1


def save_parts(directory: Path) -> Path:
    """The files that the original OPT repositories have."""
    byte_level(["<s>", "<pad>", "</s>", "<unk>"]).model.save(str(directory))
    token = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False, "__type": "AddedToken"}
    end = {name: {"content": "</s>", **token} for name in ("bos_token", "eos_token", "unk_token")}
    config = {"errors": "replace", **end, "add_prefix_space": False, "add_bos_token": True}
    (directory / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "GPT2Tokenizer"}))
    (directory / "config.json").write_text(json.dumps({"model_type": "opt"}))
    return directory


def test_an_original_opt_repository_leads_with_its_end_token(tmp_path: Path) -> None:
    save_parts(tmp_path)
    assert has_tokenizer(tmp_path) and not (tmp_path / "tokenizer.json").exists()
    ids = load_tokenizer(tmp_path).encode("the quick fox")
    assert ids[0] == 2 and len(ids) > 3
    expect_ids_of_transformers(tmp_path)


@pytest.mark.parametrize("kind", ["parts", "whole", "llama"])
def test_a_tokenizer_survives_save_pretrained(tmp_path: Path, kind: str) -> None:
    if kind == "parts":
        first: Any = GPT2Tokenizer.from_pretrained(save_parts(tmp_path))
    elif kind == "whole":
        first = PreTrainedTokenizerFast(tokenizer_object=led(byte_level(), "<s> $A", "<s>"), **NAMED)
    else:
        save(tmp_path, led(llama(), "<s> $A", "<s>"), "llama", LLAMA)
        first = AutoTokenizer.from_pretrained(tmp_path)
    first.save_pretrained(tmp_path / "again")
    expect_ids_of_transformers(tmp_path / "again")
    again = load_tokenizer(tmp_path / "again")
    for text in TEXTS:
        assert again.encode(text) == first(text)["input_ids"], text
    assert again.vocabulary() == first.get_vocab()


def refused(directory: Path, *words: str) -> None:
    with pytest.raises(DraftwiseError) as caught:
        load_tokenizer(directory)
    message = str(caught.value)
    assert "\n" not in message and [word for word in words if word not in message] == [], message


def forbid(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def test_a_missing_transformers_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, "transformers")
    refused(save_parts(tmp_path), "tokenizer.json", "transformers", 'pip install "draftwise[transformers]"')


@pytest.mark.parametrize("package", ["sentencepiece", "google.protobuf"])
@pytest.mark.parametrize("name", ["spiece.model", "tokenizer.model"])
def test_what_reads_a_sentencepiece_model_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    (tmp_path / name).write_bytes(b"model")
    for other in ("sentencepiece", "google", "google.protobuf"):
        monkeypatch.setitem(sys.modules, other, builtins)  # as if installed
    monkeypatch.setitem(sys.modules, package, None)
    assert has_tokenizer(tmp_path)
    refused(tmp_path, package, "pip install sentencepiece protobuf")


def test_corrupt_parts_are_one_line(tmp_path: Path) -> None:
    save_parts(tmp_path)
    (tmp_path / "vocab.json").write_text("{")
    refused(tmp_path, "can't build a tokenizer", str(tmp_path), "fetch them again")


def test_a_tokenizer_of_the_repositorys_own_code_does_not_run(tmp_path: Path) -> None:
    save_parts(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config |= {"auto_map": {"AutoTokenizer": ["own.Own", None]}, "tokenizer_class": "Own"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own"}))
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")
    try:
        load_tokenizer(tmp_path)
    except DraftwiseError as error:
        assert "\n" not in str(error)
    assert not (tmp_path / "ran").exists()


def test_a_directory_without_a_tokenizer_has_none(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("{}")
    assert not has_tokenizer(tmp_path)
    refused(tmp_path, "no tokenizer.json", "vocab.json and merges.txt", "spiece.model")


def test_a_whole_tokenizer_needs_no_transformers(tmp_path: Path) -> None:
    save(tmp_path, led(llama(), "<s> $A", "<s>"), "llama", LLAMA)
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "from draftwise.models.tokenizer import load_tokenizer\n"
        f"print(load_tokenizer({str(tmp_path)!r}).encode('fox')[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), check=True, capture_output=True, text=True
    )
    assert done.stdout == "1\n"
