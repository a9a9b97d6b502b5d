"""Makes ``toys`` here, and ``tiny_opt`` and ``tiny_families`` among the models' tests, importable from every room."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent / "models" / room) for room in ("", "families")]


@pytest.fixture(scope="session")
def opt_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Directories of a random target and a random, smaller draft that know nothing of one another."""
    from tiny_opt import save_tiny_opt

    root = tmp_path_factory.mktemp("opt")
    shape = {"vocab_size": 48, "tie_word_embeddings": False, "eos_token_id": 47, "init_std": 0.6}
    target = save_tiny_opt(root / "target", seed=8, hidden=16, ffn=32, **shape)
    draft = save_tiny_opt(root / "draft", seed=4, hidden=8, layers=1, ffn=16, **shape)
    return target, draft


@pytest.fixture(scope="session")
def native() -> None:
    """The native backend; without a compiler tests are skipped, or fail where DRAFTWISE_COMPILER is "required"."""
    from draftwise.models.backends.native.compiled import try_library

    reason = try_library().reason
    if reason is not None:
        if os.environ.get("DRAFTWISE_COMPILER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
