"""``draftwise grow``: write a bigger model that gives the outputs of a small one."""

from __future__ import annotations

import click

_SIZE = "a number, or ×k (xk) for k times the small one's"


@click.command("grow", short_help="Grow the built-in models to a bigger model's sizes.")
@click.argument("source")
@click.option("--like", metavar="MODEL", help="Take the sizes of this published OPT model, such as facebook/opt-6.7b.")
@click.option("--hidden", metavar="N", help=f"Width of the stream: {_SIZE}.")
@click.option("--layers", metavar="N", help="Blocks, likewise.")
@click.option("--heads", metavar="N", help="Attention heads, likewise; in proportion to --hidden if left out.")
@click.option("--ffn", metavar="N", help="Inner width of the feed-forward, likewise.")
@click.option("--vocab", metavar="N", help="Rows of the token table, likewise.")
@click.option(
    "--dtype", metavar="TYPE", help="Store the matrices in bfloat16 or float32; as the small model if left out."
)
@click.option("-o", "--output", required=True, metavar="DIR", help="Where to write the model; must not exist.")
def command(
    source: str,
    like: str | None,
    hidden: str | None,
    layers: str | None,
    heads: str | None,
    ffn: str | None,
    vocab: str | None,
    dtype: str | None,
    output: str,
) -> None:
    """Write a model of a bigger one's exact shapes, cost and parameter count, with the outputs of SOURCE.

    SOURCE is builtin (or builtin-target), builtin-draft, or the directory of an OPT model. The sizes are those of
    --like, else those of SOURCE, but for the ones given.
    """
    from draftwise.builtin import grow

    grown = grow(
        source, output, like=like, dtype=dtype, hidden=hidden, layers=layers, heads=heads, ffn=ffn, vocab=vocab
    )
    click.echo(
        f"wrote {grown.directory}: {grown.parameters:,} parameters, {grown.weight_bytes / 1e9:.2f} GB in {grown.dtype}"
    )
