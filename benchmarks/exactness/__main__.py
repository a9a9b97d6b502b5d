"""Run the check: `python -m benchmarks.exactness --spec-bench question.jsonl` from the repository's root.

Exits with 1 where a backend that says it is exact gave other ids, with 2 for input that is of no use.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from draftwise.errors import DraftwiseError

DTYPES = ("float32", "bfloat16", "int8")


@click.command("exactness")
@click.option("--target", default="builtin", show_default=True, help="A model, or the built-in one.")
@click.option("--draft", help="A draft model; the built-in target brings its own.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--dtype", "dtypes", multiple=True, default=DTYPES, show_default=True, help="May be given several times.")
@click.option("--backend", "backends", multiple=True, help="Likewise; all that run here if left out.")
@click.option("--limit", default=20, show_default=True, help="Prompts a subtask.")
@click.option("--spec-bench", type=click.Path(path_type=Path), help="Spec-Bench's question.jsonl, or a part of it.")
@click.option("--longest", type=int, help="Keep only this many of a prompt's last tokens.")
@click.option("--gamma", "gammas", multiple=True, type=int, help="Several times; 1 to 8 if left out.")
@click.option("--batch", "batches", multiple=True, type=int, help="Several times; 1 and 4 if left out.")
@click.option("--new-tokens", default=30, show_default=True, help="The most new tokens of an answer.")
@click.option("--threads", type=int, help="Threads of a CPU; torch's own choice if left out.")
def command(
    target: str,
    draft: str | None,
    device: str,
    dtypes: tuple[str, ...],
    backends: tuple[str, ...],
    limit: int,
    spec_bench: Path | None,
    longest: int | None,
    gammas: tuple[int, ...],
    batches: tuple[int, ...],
    new_tokens: int,
    threads: int | None,
) -> None:
    """Compare speculative sampling's ids with plain decoding's at temperature 0."""
    from benchmarks.exactness.run import Job, run

    job = Job(target, draft, device, dtypes, backends, limit, spec_bench, longest, gammas, batches, new_tokens, threads)
    try:
        sys.exit(0 if run(job, click.echo) else 1)
    except DraftwiseError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    command()
