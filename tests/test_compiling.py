from __future__ import annotations

import subprocess
import sys
import timeit

import pytest
import torch

from draftwise import Engine
from draftwise.compiling import compilations, note_compilation
from toys import Toy, toy


class Compiled(Toy):
    """A model that compiles its pass when it is first run, and again for each new shape."""

    def forward(self, *args: object, **options: object) -> torch.Tensor:
        logits = super().forward(*args, **options)  # type: ignore[arg-type]
        if not hasattr(self, "doubled"):
            self.doubled = torch.compile(lambda values: values * 2, backend="eager", dynamic=False)
        return self.doubled(logits)


@pytest.mark.filterwarnings("ignore")
def test_a_program_compiled_within_a_call_changes_the_count_there_and_only_there() -> None:
    engine = Engine(Compiled(toy(8).table))
    counts = [compilations()]
    for _ in range(3):
        engine.generate([1], method="as", max_new_tokens=4)
        counts.append(compilations())
    assert counts[1] > counts[0]
    assert counts[1] == counts[2] == counts[3]
    engine.generate([[1], [2]], method="as", max_new_tokens=4)  # another shape
    assert compilations() > counts[3]


def test_what_a_backend_captures_is_counted_with_it() -> None:
    before = compilations()
    note_compilation()
    assert compilations() == before + 1


def test_plain_decoding_compiles_nothing() -> None:
    before = compilations()
    Engine(toy(8)).generate([1], method="as")
    assert compilations() == before


def test_counting_loads_nothing_and_takes_next_to_no_time() -> None:
    code = (
        "import sys\n"
        "from draftwise.compiling import compilations\n"
        "assert compilations() == 0\n"
        "assert not any(name.split('.')[0] == 'torch' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert min(timeit.repeat(compilations, number=1000, repeat=20)) / 1000 < 2e-6
