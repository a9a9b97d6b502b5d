"""``draftwise generate``: stream the answer to one prompt; the answer goes to stdout, all else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from draftwise.bench.settings import MODEL_FIELDS, BenchSettings
from draftwise.builtin import BUILTIN
from draftwise.cli.options import build, settings_options
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions

if TYPE_CHECKING:
    from draftwise.engine import Engine
    from draftwise.generation import Generation, Piece


@click.command("generate")
@click.argument("prompt")
@click.option("--method", default="sps", show_default=True, help="How to decode: as, sps or bild.")
@settings_options(DecodingOptions)
@settings_options(BenchSettings, only=MODEL_FIELDS)
@click.option("--show-drafts", is_flag=True, help="Mark which tokens were drafted and accepted.")
def command(prompt: str, method: str, show_drafts: bool, **values: Any) -> None:
    """Stream the answer to PROMPT; "-" reads the prompt from standard input."""
    options = build(DecodingOptions, values)
    text = _read_prompt(prompt)
    from draftwise.methods import find_method  # brings torch, so after the wait for the prompt

    find_method(method)
    engine, prompt_ids, memory = _load(values, text, options)
    pieces = engine.stream(prompt_ids, method=method, **asdict(options))
    click.echo(memory, err=True)
    generation = _show(_marked(pieces, engine.decode) if show_drafts else _plain(pieces), show_drafts)
    click.echo(_closing(generation), err=True)


def _read_prompt(prompt: str) -> str:
    try:
        if prompt == "-":
            return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
        return prompt.encode("utf-8").decode("utf-8")
    except UnicodeError as error:
        raise DraftwiseError(f"the prompt must be UTF-8 text: {error}") from None


def _load(values: dict[str, Any], text: str, options: DecodingOptions) -> tuple[Engine, list[int], str]:
    """The engine for a prompt, the prompt's ids, as the user's turn if there is a chat template, and a line on memory.

    What the models will take is held against the memory that there is before any weight is read.
    """
    import torch

    from draftwise.engine import Engine
    from draftwise.inputs import encode_prompt
    from draftwise.models.loading import model_specs
    from draftwise.pairs import Pairing

    if values["threads"] is not None:
        torch.set_num_threads(values["threads"])
    draft = values["draft"] or (BUILTIN if values["target"] == BUILTIN else None)
    target, drafts = model_specs(values, [draft] if draft else [])
    pairing = Pairing.open(target, drafts, values["chat_template"])
    if not text:
        raise DraftwiseError("the prompt is empty; give at least one character")
    ids = encode_prompt(pairing.tokenizer, pairing.chat_template, text)
    memory = pairing.check_memory(len(ids) + options.max_new_tokens, chunk=options.prefill_chunk)
    (engine,) = Engine.load_all(pairing)
    return engine, ids, memory


Part = tuple[str, bool, "Generation | None"]
"""A stretch of text, whether the draft model wrote it, and on the last part the finished generation."""


def _plain(pieces: Iterator[Piece]) -> Iterator[Part]:
    for piece in pieces:
        yield piece.text, False, piece.generation


def _marked(pieces: Iterator[Piece], decode: Callable[[Sequence[int]], str]) -> Iterator[Part]:
    """Split each round's text into its accepted draft and what the target wrote after it."""
    ids: list[int] = []
    shown = ""
    for piece in pieces:
        count = piece.round.accepted
        for tokens, drafted in ((piece.tokens[:count], True), (piece.tokens[count:], False)):
            ids.extend(tokens)
            whole = decode(ids).rstrip("\ufffd")  # half a character waits for its other half
            yield whole[len(shown) :], drafted, None
            shown = whole
        if piece.generation is not None:
            yield piece.generation.text[len(shown) :], False, piece.generation


def _show(parts: Iterator[Part], show_drafts: bool) -> Generation:
    """Print the parts as they come and return the finished generation."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    if show_drafts:
        click.echo(f"{_mark('drafted and accepted', coloured)} written by the target", err=True, color=coloured)
    finished: Generation | None = None
    begun = False
    for text, drafted, generation in parts:
        if not begun:
            text = text.lstrip()  # the space that parts an answer from its prompt
            begun = bool(text)
        click.echo(_mark(text, coloured) if drafted and text else text, nl=False, color=coloured)
        finished = generation or finished
    click.echo()
    assert finished is not None, "a stream ends with the piece that carries the generation"
    return finished


def _mark(text: str, coloured: bool) -> str:
    return click.style(text, fg="green", bold=True) if coloured else f"[{text}]"


def _closing(generation: Generation) -> str:
    count = len(generation.tokens)
    rate = generation.acceptance_rate
    return (
        f"{count} tokens ({generation.finish_reason}), decode {count / generation.decode_ns * 1e9:.1f} tokens/sec, "
        f"acceptance length {generation.acceptance_length:.2f}" + (f", rate {rate:.2f}" if rate is not None else "")
    )
