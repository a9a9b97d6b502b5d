"""``draftwise tasks``: what the suites hold, and one prompt with its reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from draftwise.errors import DraftwiseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from draftwise.tasks import Prompt, Suite, SuiteSource

LOOK = 1000
"""The most prompts of a data set that are counted; some have millions."""


@click.command("tasks")
@click.argument("subtask", required=False)
@click.option("--suite", metavar="NAME", help="Look at this suite; builtin where a prompt is shown.")
@click.option("--data", metavar="FILE", help="Your file of prompts, or the file that the suite needs.")
@click.option(
    "--prompt-field", metavar="F", help="A data set's column with the prompt, or a template: 'Correct: {text}'."
)
@click.option("--reference-field", metavar="G", help="A data set's column with the right answer.")
@click.option("--skip-bad-lines", is_flag=True, help="Pass over lines that are no prompt, and name them.")
@click.option("--index", type=int, default=0, show_default=True, metavar="N", help="Which prompt, from 0 on.")
def command(
    subtask: str | None,
    suite: str | None,
    data: str | None,
    prompt_field: str | None,
    reference_field: str | None,
    skip_bad_lines: bool,
    index: int,
) -> None:
    """List the suites and their subtasks, or show a prompt of SUBTASK with its reference."""
    from draftwise.tasks import SuiteSource
    from draftwise.tasks.suites import find_entry

    if suite is not None:
        find_entry(suite)  # an empty name is no default here
    source = SuiteSource(suite or "", data, prompt_field, reference_field, skip_bad_lines)
    if subtask is not None:
        _show_prompt(source, subtask, index)
    elif suite is None and data is None and prompt_field is None and reference_field is None:
        _list_all()
    else:
        _list_suite(source)


def _list_all() -> None:
    from draftwise.tasks import SUITES, SuiteSource
    from draftwise.tasks.hub import HUB_FORM
    from draftwise.tasks.suites import HUB

    for name, entry in SUITES.items():
        if entry.is_shipped:
            _list_suite(SuiteSource(name))
    others = {name: entry for name, entry in SUITES.items() if not entry.is_shipped} | {HUB_FORM: HUB}
    width = max(map(len, others))
    click.echo("suites that need something else")
    for name, entry in others.items():
        click.echo(f"  {name:<{width}}  {entry.about}; needs {entry.needs}")


def _list_suite(source: SuiteSource) -> None:
    from draftwise.tasks import subtasks_of
    from draftwise.tasks.suites import find_entry

    suite = _load(source, limit=LOOK if find_entry(source.name).is_endless else None)
    of_subtask = {
        name: [prompt for prompt in suite.prompts if prompt.subtask == name] for name in subtasks_of(suite.prompts)
    }
    width = max(map(len, ["subtask", *of_subtask]))
    count = len(suite.prompts)
    click.echo(f"suite {source.name}: {count} prompt{'s' * (count != 1)}{' or more' * (count == LOOK)}")
    click.echo(f"  {'subtask':<{width}}  prompts  metric")
    for name, prompts in of_subtask.items():
        click.echo(f"  {name:<{width}}  {len(prompts):>7}  {_metric(prompts)}")


def _metric(prompts: Sequence[Prompt]) -> str:
    """By what the answers to some prompts of one subtask are scored."""
    from draftwise.tasks import metric_of

    if not any(prompt.references or prompt.fields for prompt in prompts):
        return "none, for want of references"
    metric = metric_of(prompts[0].subtask)
    return "token F1" if metric == "fields" and not any(prompt.fields for prompt in prompts) else metric


def _load(source: SuiteSource, subtasks: Sequence[str] = (), limit: int | None = None) -> Suite:
    """Load a suite, and name on stderr what was passed over."""
    from draftwise.tasks import load_suite

    suite = load_suite(source, subtasks, limit)
    for line in suite.skipped:
        click.echo(f"passed over: {line}", err=True)
    return suite


def _show_prompt(source: SuiteSource, subtask: str, index: int) -> None:
    from draftwise.tasks.suites import find_entry

    is_endless = find_entry(source.name).is_endless
    prompts = _load(source, [subtask], max(index, 0) + 1 if is_endless else None).prompts
    if not 0 <= index < len(prompts):
        raise DraftwiseError(f"--index must be from 0 to {len(prompts) - 1} in {subtask!r}, not {index}")
    prompt = prompts[index]
    click.echo(prompt.id if is_endless else f"{prompt.id} ({index + 1} of {len(prompts)})", err=True)
    for turn in range(len(prompt.turns)):
        _show_turn(prompt, turn)


def _show_turn(prompt: Prompt, turn: int) -> None:
    click.echo(f"prompt: {prompt.turns[turn]}")
    for place, answer in enumerate(prompt.answers(turn)):
        click.echo(f"{'or' if place else 'reference'}: {answer}")
    if prompt.fields_of(turn):
        click.echo(f"asked for: {'; '.join(prompt.fields_of(turn))}")
