"""A run of a million samples, made up but of the real form, and a report of it: ``python large_run.py DIRECTORY``."""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from draftwise.bench import BenchSettings
from draftwise.bench.cells import describe_cells, make_cells
from draftwise.bench.records import CHECKS, RECORDS, Check, RoundTrace, Sample, to_line
from draftwise.bench.store import RunStore
from draftwise.tasks import Prompt, load_suite, suite_sha256

PROMPTS, REPEATS = 83_334, 3
WIDTHS = {"as": 1, "as*": 1, "sps": 3, "bild": 4}
TOKENS = 30


def main(directory: Path) -> None:
    """Write the run, then read and report it in this process; print what that took as JSON."""
    settings = BenchSettings(repeats=REPEATS, limit=PROMPTS)
    write_run(directory, settings, cloned_prompts())
    from draftwise.analysis.run import load_run
    from draftwise.analysis.summary import summarize, write_summary
    from draftwise.report.page import write_page

    began = time.monotonic()
    run = load_run(directory)
    summary = summarize(run)
    write_summary(directory, summary)
    page = write_page(directory, run, summary)
    told = {
        "seconds": time.monotonic() - began,
        "peak_bytes": peak_bytes(),
        "page_bytes": page.stat().st_size,
        "samples": summary["samples"],
        "speedup": summary["overall"]["sps"]["speedup"],
    }
    print(json.dumps(told))


def peak_bytes() -> int:
    """The most memory that this process has held; ``getrusage`` would count its parent's before it was started too."""
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text("utf-8"), re.MULTILINE)
    return int(kilobytes) * 1024


def cloned_prompts() -> list[Prompt]:
    """The built-in suite's single questions under many names."""
    single = [prompt for prompt in load_suite("builtin").prompts if len(prompt.turns) == 1]
    return [replace(single[number % len(single)], id=f"prompt-{number}") for number in range(PROMPTS)]


def write_run(directory: Path, settings: BenchSettings, prompts: list[Prompt]) -> None:
    """All files that a real run leaves."""
    cells = make_cells(settings)
    environment = {
        "methods": describe_cells(cells),
        "prompts": len(prompts),
        "prompts_sha256": suite_sha256(prompts),
        "bandwidth": 30e9,
        "bytes_per_pass": 28_000_000,
        "draft_bytes_per_pass": {"builtin": 4_000_000},
        "cores": 2,
        "load_average": [0.1, 0.1, 0.1],
    }
    planned = len(prompts) * len(cells) * settings.repeats
    header = {"settings": settings.to_record(), "environment": environment, "planned": planned}
    directory.mkdir(parents=True)
    store = RunStore.create(directory, header, prompts, {(prompt.id, 0): [1, 2, 3] for prompt in prompts})
    passes = {str(width): 1_000_000 + 50_000 * width for width in range(1, 12)}
    store.write_costs({"context": 50, "passes": 9, "target": passes, "drafts": {"builtin": {"1": 2e5, "2": 2.1e5}}})
    for name, lines in ((CHECKS, check_lines(prompts)), (RECORDS, sample_lines(prompts))):
        with open(directory / name, "wb") as file:
            file.writelines(lines)


def check_lines(prompts: list[Prompt]) -> Iterator[bytes]:
    for prompt in prompts:
        yield from (to_line(check(prompt, label, width)) for label, width in WIDTHS.items())


def check(prompt: Prompt, label: str, width: int) -> Check:
    """Each pass writes as many tokens as the width, all but the last of them drafted."""
    rounds = [
        RoundTrace(tuple(range(at, at + width - 1)), size - 1, size, width - 1, 200_000, 900_000, 9_000, 90_000, 1_000)
        for at in range(0, TOKENS, width)
        if (size := min(width, TOKENS - at))
    ]
    return Check(
        prompt_id=prompt.id,
        subtask=prompt.subtask,
        turn=0,
        method=label,
        seed=0,
        prompt_tokens=3,
        new_tokens=tuple(range(TOKENS)),
        pieces=(" word",) * TOKENS,
        finish_reason="length",
        text=" word" * TOKENS,
        score=0.5,
        rounds=tuple(rounds),
    )


def sample_lines(prompts: list[Prompt]) -> Iterator[bytes]:
    rng, order = random.Random(0), 0
    for repeat in range(REPEATS):
        for prompt in prompts:
            for label, width in WIDTHS.items():
                decode = int(3e7 / (1 if width == 1 else 1.5) * rng.lognormvariate(0, 0.05))
                yield to_line(sample(prompt, label, repeat, order, -(-TOKENS // width), decode))
                order += 1


def sample(prompt: Prompt, label: str, repeat: int, order: int, passes: int, decode_ns: int) -> Sample:
    return Sample(
        prompt_id=prompt.id,
        subtask=prompt.subtask,
        turn=0,
        method=label,
        session=0,
        repeat=repeat,
        order=order,
        seed=0,
        prompt_tokens=3,
        new_tokens=tuple(range(TOKENS)),
        passes=passes,
        compilations=0,
        prefill_ns=2_000_000,
        ttft_ns=3_000_000,
        decode_ns=decode_ns,
        total_ns=decode_ns + 2_100_000,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
