"""``draftwise completion``: print the script that completes commands and options in a shell."""

from __future__ import annotations

import click

HINTS = {
    "bash": 'eval "$(draftwise completion bash)"          in ~/.bashrc',
    "zsh": 'eval "$(draftwise completion zsh)"           in ~/.zshrc, after compinit',
    "fish": "draftwise completion fish | source           in ~/.config/fish/config.fish",
}


@click.command("completion", epilog="\b\n" + "\n".join(HINTS.values()))
@click.argument("shell", type=click.Choice(list(HINTS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell: bash, zsh or fish."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(ctx.find_root().command, {}, "draftwise", "_DRAFTWISE_COMPLETE").source())
