"""``draftwise env``: what a number measured on this machine depends on, without any model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click


@click.command("env", short_help="Print the fingerprint of this machine.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it."
)
@click.option("--device", metavar="NAME", help="Look at cpu, cuda or cuda:N; at a GPU if there is one.")
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help="CPU threads; torch's choice if left out.")
def command(form: str, device: str | None, threads: int | None) -> None:
    """Print the fingerprint of this machine: hardware, load, versions, code, and how fast memory is read.

    The same facts stand in every run; the backends are those that would run the built-in target. Nothing in it names
    the machine or its owner. Takes a few seconds, since the speed of memory is measured.
    """
    import torch

    from draftwise.bench.files import to_json
    from draftwise.bench.fingerprint import fingerprint

    if threads is not None:
        torch.set_num_threads(threads)
    facts = fingerprint(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    click.echo(to_json(facts) if form == "json" else "\n".join(text_lines(facts)), nl=form == "text")


def text_lines(facts: dict[str, Any]) -> Iterator[str]:
    """A fingerprint for people, a line a fact."""
    rows = dict(_rows(facts))
    width = max(map(len, rows))
    return (f"{name:<{width}}  {value}" for name, value in rows.items())


def _rows(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    revision, gpu = facts["revision"], facts["gpu"]
    yield "cpu", f"{facts['cpu']} ({facts['cpu_capability']})"
    yield "cores", f"{facts['cores']}, threads can{'' if facts['can_pin'] else 'not'} be pinned to them"
    yield "threads", str(facts["threads"])
    yield "load", ", ".join(f"{value:.2f}" for value in facts["load_average"]) + " over 1, 5 and 15 minutes"
    yield "memory", f"{facts['memory_bytes'] / 2**30:.1f} GiB"
    yield "caches", ", ".join(f"{name} {_size(size)}" for name, size in facts["caches"].items()) or "not known"
    yield "gpu", ", ".join(_gpu(gpu)) if gpu else "none looked at"
    yield f"reads on {facts['device']}", _speeds(facts["bandwidth"])
    yield "backends", ", ".join(f"{dtype} {_backend(choice)}" for dtype, choice in facts["backends"].items())
    yield "platform", facts["platform"]
    yield "versions", ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    yield "code", "no git checkout" if revision is None else revision["commit"] + " with changes" * revision["dirty"]


def _gpu(gpu: dict[str, str]) -> Iterator[str]:
    yield gpu["name"]
    yield from (f"{name.replace('.', ' ').replace('_', ' ')} {value}" for name, value in gpu.items() if name != "name")


def _backend(choice: dict[str, Any]) -> str:
    reasons = "; ".join(choice["passed_over"])
    return f"{choice['backend']} (passed over {reasons})" if reasons else str(choice["backend"])


def _speeds(bandwidth: dict[str, float]) -> str:
    return ", ".join(f"{speed / 1e9:.1f} GB/s over {_size(int(size))}" for size, speed in bandwidth.items())


def _size(count: int) -> str:
    """Bytes in KiB, MiB or GiB."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power:
            return f"{count / (1 << power):g} {unit}"
    return f"{count} bytes"
