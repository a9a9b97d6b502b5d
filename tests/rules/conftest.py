"""Makes the fakes of the bench and the synthetic samples of the analysis importable, and one real run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

for room in ("analysis", "bench"):
    sys.path.append(str(Path(__file__).parents[1] / room))

COMMAND = "bench --limit 1 --subtasks qa,multi-turn --repeats 2 --max-new-tokens 6 --threads 1 --seed 5"


@pytest.fixture(scope="session")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run of the built-in pair by the command line; tests copy it before they spoil it."""
    from draftwise.cli.main import main

    directory = tmp_path_factory.mktemp("rules") / "run"
    with pytest.MonkeyPatch.context() as patch:
        arguments = [*COMMAND.split(), "--output", str(directory)]
        patch.setattr(sys, "argv", ["draftwise", *arguments])
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    assert ended.value.code == 0
    return directory
