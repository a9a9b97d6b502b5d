"""A pair of tiny models, and a way to run the command line in this process."""

from __future__ import annotations

import pytest
from harness import Outcome, Pair, Run, save_opt

from draftwise.bench import environment
from draftwise.cli.main import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> Outcome:
        capsys.readouterr()  # what the making of a model printed is no part of the command's output
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def unmeasured_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second is spent on the speed of a machine that a test asks nothing of."""
    monkeypatch.setattr(environment, "read_bandwidth", lambda size, device: None)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    root = tmp_path_factory.mktemp("pair")
    return Pair(save_opt(root / "target", hidden=16), save_opt(root / "draft", hidden=8, seed=1))
