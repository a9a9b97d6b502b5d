"""``draftwise tasks``: what the suites hold, and one prompt with its reference."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from draftwise.errors import DraftwiseError

if TYPE_CHECKING:
    from draftwise.tasks import Prompt


@click.command("tasks")
@click.argument("subtask", required=False)
@click.option("--suite", metavar="NAME", help="Look at this suite; builtin where a prompt is shown.")
@click.option("--index", type=int, default=0, show_default=True, metavar="N", help="Which prompt, from 0 on.")
def command(subtask: str | None, suite: str | None, index: int) -> None:
    """List the suites and their subtasks, or show a prompt of SUBTASK with its reference."""
    if subtask is None:
        _list_suites(suite)
    else:
        _show_prompt(suite or "builtin", subtask, index)


def _list_suites(chosen: str | None) -> None:
    from draftwise.tasks import METRICS, SUBTASKS, SUITES, load_suite

    width = max(map(len, SUBTASKS))
    for name in [chosen] if chosen else SUITES:
        counts = Counter(prompt.subtask for prompt in load_suite(name).prompts)
        click.echo(f"suite {name}: {sum(counts.values())} prompts")
        click.echo(f"  {'subtask':<{width}}  prompts  metric")
        for subtask in SUBTASKS:
            click.echo(f"  {subtask:<{width}}  {counts[subtask]:>7}  {METRICS[subtask]}")


def _show_prompt(suite: str, subtask: str, index: int) -> None:
    from draftwise.tasks import load_suite

    prompts = load_suite(suite, [subtask]).prompts
    if not 0 <= index < len(prompts):
        raise DraftwiseError(f"--index must be from 0 to {len(prompts) - 1} in {subtask!r}, not {index}")
    prompt = prompts[index]
    click.echo(f"{prompt.id} ({index + 1} of {len(prompts)})", err=True)
    for turn in range(len(prompt.turns)):
        _show_turn(prompt, turn)


def _show_turn(prompt: Prompt, turn: int) -> None:
    click.echo(f"prompt: {prompt.turns[turn]}")
    reference = prompt.reference(turn)
    if reference is not None:
        click.echo(f"reference: {reference}")
    if prompt.fields_of(turn):
        click.echo(f"asked for: {'; '.join(prompt.fields_of(turn))}")
