"""`python -m benchmarks.peers`: all the peers that are installed, on all the cases asked for, in one table."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from benchmarks.peers import table
from benchmarks.peers.cases import DTYPES, MODELS, Case, Question, ask, make_case, reference_engine
from benchmarks.peers.measure import Limits, Measured, measure
from benchmarks.peers.rows import PEERS, rows_of
from draftwise.bench.fingerprint import machine_facts, machine_state
from draftwise.errors import DraftwiseError, unknown_name

STORE = Path("build/peers")


def names(text: str, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Names parted by commas.

    Raises:
        DraftwiseError: one isn't known; lists those that are.
    """
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in found:
        if name not in known:
            raise unknown_name(what, name, known)
    return found


@click.command()
@click.option("--models", default="builtin,opt-125m", show_default=True, help=f"Among {', '.join(MODELS)}.")
@click.option("--dtypes", default="float32,bfloat16", show_default=True, help=f"Among {', '.join(DTYPES)}.")
@click.option(
    "--peers", default=",".join(PEERS), show_default=True, help="Which to run; those not installed are named."
)
@click.option("--threads", default=2, show_default=True, help="Threads of every peer.")
@click.option("--prompts", default=16, show_default=True, help="Prompts of each case.")
@click.option("--repeats", default=5, show_default=True, help="Rounds of each case, if the time allows.")
@click.option("--tokens", default=32, show_default=True, help="New tokens of an answer at most.")
@click.option("--budget", default=10.0, show_default=True, help="Minutes for all; each case has four prompts at least.")
@click.option("--seed", default=0, show_default=True, help="Of the order of turns and of the intervals' draws.")
@click.option("--store", default=STORE, type=click.Path(path_type=Path), show_default=True, help="Converted models.")
@click.option("--output", default=table.RESULTS, type=click.Path(path_type=Path), help="Where the results go.")
@click.option("--quick", is_flag=True, help="A smoke test of seconds: the smallest pair, one prompt, one round.")
def command(
    models: str,
    dtypes: str,
    peers: str,
    threads: int,
    prompts: int,
    repeats: int,
    tokens: int,
    budget: float,
    seed: int,
    store: Path,
    output: Path,
    quick: bool,
) -> None:
    """Run draftwise and its peers side by side on this CPU and write one table."""
    began = perf_counter()
    if quick:
        models, dtypes, prompts, repeats, tokens = "tiny", "float32", 1, 1, 8
    chosen = names(peers, tuple(PEERS), "peer")
    wanted = [
        (model, dtype) for model in names(models, tuple(MODELS), "model") for dtype in names(dtypes, DTYPES, "dtype")
    ]
    found: list[Measured] = []
    environment = describe("benchmarks.peers", threads, seed)
    for place, (model, dtype) in enumerate(wanted):
        left = budget * 60 - (perf_counter() - began)
        click.echo(f"{model}, {dtype}: {left / 60:.1f} minutes left for {len(wanted) - place} cases")
        case = make_case(model, dtype, threads, store)
        questions = _questions(case, prompts, tokens)
        limits = Limits(repeats, left / (len(wanted) - place), seed)
        found.append(measure(case, questions, chosen, limits, click.echo))
        path = table.write(found, rows_of(chosen), environment, output)
    click.echo(path.read_text("utf-8"))
    click.echo(f"written to {path} and {path.with_suffix('.json')} after {(perf_counter() - began) / 60:.1f} minutes")


def describe(module: str, threads: int, seed: int) -> dict[str, Any]:
    """The machine, its state before the turns, and the command, as JSON values; ``seed`` orders turns and draws."""
    return {
        "machine": machine_facts(),
        "state": machine_state(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "threads": threads,
        "seed": seed,
    }


def _questions(case: Case, prompts: int, tokens: int) -> list[Question]:
    """The prompts and how long their answers are; the engine that says so is gone when turns begin."""
    return ask(case, reference_engine(case), prompts, tokens)


def main() -> None:
    """Run; what a person can mend is one line."""
    try:
        command()
    except DraftwiseError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
