"""The native library on processors of other kinds, with no compiler, and from the cache."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cpuinfo import get_cpu_info
from test_native_parity import DTYPES, error, in_pieces
from tiny_families import close, directory, ids, own, whole

from draftwise.compiling import compilations
from draftwise.errors import DraftwiseError
from draftwise.models.backends.native import compiled
from draftwise.models.loading import ModelSpec, load_model, open_model

pytestmark = pytest.mark.usefixtures("native")

PROCESSORS = {"x86-64": "sse2", "haswell": "avx2", "skylake-avx512": "avx512bw", "cooperlake": "avx512_bf16"}
"""What a compiler calls them, and a feature that shows that this processor can do what they do."""


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled, "_FLAGS", (*compiled._FLAGS, "-O0"))  # compiling is what takes the time here
    compiled.try_library.cache_clear()
    yield
    compiled.try_library.cache_clear()


@pytest.mark.parametrize("processor", PROCESSORS)
def test_processors_of_other_kinds_give_the_same_answers(processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if PROCESSORS[processor] not in get_cpu_info().get("flags", []):
        pytest.skip(f"this processor can't do what {processor} does")
    monkeypatch.setattr(compiled, "_TARGETS", (f"-march={processor}",))
    monkeypatch.setattr(compiled, "_FLAGS", (*compiled._FLAGS, "-O1"))
    tokens = ids(2, 40)
    for name in ("gemma2 uncapped", "opt"):
        true = whole(own(name), tokens)
        for dtype in DTYPES:
            model = open_model(ModelSpec(str(directory(name)), dtype=dtype, backend="native")).load()
            assert "AMX" not in model.backend.instructions
            logits = whole(model, tokens)
            if dtype == "float32":
                close(logits, true)
            assert error(logits, true) < 0.08
            for width in (1, 3, 8, 9):
                assert torch.equal(in_pieces(model, tokens, width), logits)


def test_what_is_compiled_once_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = compilations()
    assert compiled.try_library().functions is not None
    assert compilations() == before + 1
    (kept,) = (tmp_path / "draftwise" / "native").iterdir()
    compiled.try_library.cache_clear()
    assert compiled.try_library().functions is not None
    assert compilations() == before + 1
    monkeypatch.setattr(compiled, "_FLAGS", (*compiled._FLAGS, "-DANOTHER"))
    compiled.try_library.cache_clear()
    assert compiled.try_library().functions is not None
    assert compilations() == before + 2
    assert len(list(kept.parent.iterdir())) == 2


def test_without_a_compiler_another_backend_runs_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    reason = "compiler found"
    model = load_model(directory("opt"))
    assert model.backend.name != "native"
    assert any(line.startswith("native: ") and reason in line for line in model.backend.passed_over)
    with pytest.raises(DraftwiseError, match=reason):
        load_model(directory("opt"), backend="native")


def test_a_compiler_that_fails_is_named_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho 'error: out of order' >&2\nexit 1\n")
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(compiler))
    reason = compiled.try_library().reason
    assert reason is not None and str(compiler) in reason and "out of order" in reason


def test_a_cache_that_can_not_be_written_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiled.try_library().functions is not None


def test_half_types_that_it_lacks_are_refused_by_name() -> None:
    with pytest.raises(DraftwiseError, match="float16"):
        load_model(directory("opt"), dtype="float16", backend="native")
