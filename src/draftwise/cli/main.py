"""The ``draftwise`` command: finds the subcommand, and turns every error into one line on stderr.

Exit codes: 0 done, 2 bad input, 3 too slow (``compare --fail-below``), 130 stopped by Ctrl-C. A command's module is
imported when its name is asked for, and torch only when a command runs, so that ``draftwise --help`` answers at once.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import click

from draftwise import __version__
from draftwise.errors import DraftwiseError, unknown_name

COMMANDS = {
    "bench": "draftwise.cli.bench",
    "report": "draftwise.cli.report",
    "compare": "draftwise.cli.compare",
    "generate": "draftwise.cli.generate",
    "tasks": "draftwise.cli.tasks",
    "grow": "draftwise.cli.grow",
    "env": "draftwise.cli.env",
    "completion": "draftwise.cli.completion",
}
"""The subcommands in the order of the help; each module holds its click command as ``command``."""


class LazyGroup(click.Group):
    """A group that imports a command when it is looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Refuse an unknown name, listing the known ones."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise unknown_name("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="draftwise", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Speculative decoding, measured honestly: a small model drafts, a large one verifies."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit; the entry point of the ``draftwise`` script."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that can't show a sign must not cost a run its report
    try:
        code = cli.main(args, prog_name="draftwise", standalone_mode=False)
    except click.UsageError as error:
        _fail(error.format_message() + _where_to_look(error.ctx))
    except click.ClickException as error:
        _fail(error.format_message())
    except (DraftwiseError, OSError) as error:
        _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        click.echo("draftwise: stopped", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> None:
    click.echo(f"draftwise: error: {' '.join(message.split())}", err=True)
    sys.exit(2)


def _where_to_look(ctx: click.Context | None) -> str:
    return "" if ctx is None else f" (see '{ctx.command_path} --help')"


if __name__ == "__main__":
    main()
