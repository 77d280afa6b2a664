"""`weightlint completion`: the script that teaches a shell the words of this command line."""

from __future__ import annotations

import click

from weightlint.cli._app import app

SHELLS = ("bash", "zsh", "fish")

WHERE = """\b
bash  eval "$(weightlint completion bash)"    in ~/.bashrc
zsh   eval "$(weightlint completion zsh)"     in ~/.zshrc
fish  weightlint completion fish | source     in config.fish"""


@click.command("completion", epilog=WHERE)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        message = f"this version of click has no completion for {shell}"
        raise click.ClickException(message)
    click.echo(kind(app, {}, "weightlint", "_WEIGHTLINT_COMPLETE").source())


COMMAND = completion
