"""Rule 1: everything is compiled and warmed up before timing; what is compiled within a sample spoils it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bed import TASKS, Reader, bench, reader, settings, summary_of
from fakes import FakeEngine

from draftwise.bench import measure
from draftwise.bench.store import read_run
from draftwise.compiling import compilations, note_compilation

SAMPLES = TASKS * 3 * 3


def calls_before_the_first_timed(engine: Any) -> list[Any]:
    """The untimed calls of ``generate``, those that make the history of second turns left out."""
    return [call for call in engine.calls if call.kind == "generate"][1:-SAMPLES]


def check_warm_ups(engine: Any, directory: Path) -> None:
    """Every shape of every method was met, as often as the record says."""
    warm = calls_before_the_first_timed(engine)
    assert len(warm) == read_run(directory)["environment"]["warm_ups"] > 0
    timed = [call for call in engine.calls if call.kind == "generate"][-SAMPLES:]
    assert {(call.method, len(call.ids)) for call in timed} <= {(call.method, len(call.ids)) for call in warm}
    longest = max(len(call.ids) for call in timed)
    full = {(call.method, len(call.ids)) for call in warm if call.options["max_new_tokens"] == 12}
    assert full >= {(method, longest) for method in ("as", "as*", "sps")}


def test_every_length_of_prompt_is_warmed_up_with_every_method_a_recorded_number_of_times(tmp_path: Path) -> None:
    for warmups in (1, 3):
        engine = FakeEngine()
        bench(engine, tmp_path / str(warmups), settings(warmups=warmups))
        check_warm_ups(engine, tmp_path / str(warmups))
        lengths = len({len(call.ids) for call in engine.calls})
        assert len(calls_before_the_first_timed(engine)) == warmups * 3 * (lengths + 1)


def test_a_run_that_goes_on_in_another_process_is_warmed_up_anew(tmp_path: Path) -> None:
    bench(FakeEngine(), tmp_path)
    (tmp_path / "records.jsonl").unlink()
    engine = FakeEngine()
    bench(engine, tmp_path)
    assert len(engine.calls) - SAMPLES == read_run(tmp_path)["environment"]["warm_ups"]


@pytest.mark.parametrize("keep", [0, 1, -1])
def test_planted_skipped_warm_ups_are_caught(keep: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, engine = measure.warm_up_calls, FakeEngine()
    monkeypatch.setattr(measure, "warm_up_calls", lambda *more: honest(*more)[:keep])
    bench(engine, tmp_path)
    with pytest.raises(AssertionError):
        check_warm_ups(engine, tmp_path)


class Compiling(Reader):
    """Planted: the third timed answer of SPS compiles a program, or captures one by means of its own."""

    captures = False

    def generate(self, prompt: Any, *, method: str = "sps", **more: Any) -> Any:
        timed = any(call.kind == "trace" for call in self.calls) and method == "sps"
        self.number = getattr(self, "number", 0) + timed
        if timed and self.number == 3:
            if self.captures:
                note_compilation()
            else:
                torch.compile(lambda values: values + self.number, backend="eager")(torch.ones(3))
        return super().generate(prompt, method=method, **more)


class Capturing(Compiling):
    captures = True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [Compiling, Capturing])
def test_planted_a_program_compiled_within_a_sample_makes_it_invalid(kind: type[Compiling], tmp_path: Path) -> None:
    samples = bench(reader(kind), tmp_path)
    spoilt = [item for item in samples if item.compilations]
    assert [item.method for item in spoilt] == ["sps"]
    found = summary_of(tmp_path)
    figures = found["overall"]["sps"]
    assert found["invalid_count"] == figures["invalid"] == 1
    assert found["invalid"][0]["reason"] == "a program was compiled within the sample"
    said = "\n".join(found["warnings"])
    assert "1 invalid sample counted for nothing" in said and "a program was compiled within the sample" in said
    rest = [item for item in samples if item.method == "sps" and not item.compilations]
    assert figures["samples"] == len(rest) == TASKS * 3 - 1
    assert figures["new_tokens"] == sum(len(item.new_tokens) for item in rest)
    assert figures["seconds"] == pytest.approx(sum(item.decode_ns for item in rest) / 1e9)


@pytest.mark.filterwarnings("ignore")
def test_what_is_compiled_in_the_warm_up_spoils_nothing(tmp_path: Path) -> None:
    class Early(Reader):
        def generate(self, prompt: Any, **more: Any) -> Any:
            if len(self.calls) == 1:
                torch.compile(lambda values: values + 1, backend="eager")(torch.ones(4))
            return super().generate(prompt, **more)

    before = compilations()
    bench(reader(Early), tmp_path)
    assert compilations() == before + 1
    assert summary_of(tmp_path)["invalid_count"] == 0
