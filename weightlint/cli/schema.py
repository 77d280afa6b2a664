"""`weightlint schema`: the architectures that are known, their files, and checking your own."""

from __future__ import annotations

from pathlib import Path

import click

from weightlint.cli._choices import complete_arch


@click.group("schema")
def schema() -> None:
    """List, show and check architecture schemas."""


@schema.command("list")
def list_() -> None:
    """Print each bundled schema with the classes, or the value of general.architecture, that it is for."""
    from weightlint import schema as room

    names = room.every()
    wide = max(map(len, names), default=0)
    for name in names:
        click.echo(f"{name:<{wide}}  {room.audience(name)}".rstrip())


@schema.command("show")
@click.argument("name", shell_complete=complete_arch)
def show(name: str) -> None:
    """Print the file of a bundled schema."""
    from weightlint import schema as room

    click.echo(room.path(name).read_text(encoding="utf-8"), nl=False)


@schema.command("check")
@click.argument("file")
def check(file: str) -> int:
    """Tell what is wrong with a schema file, TOML or JSON; exit code 1 if anything is."""
    from weightlint import schema as room
    from weightlint.finding import printable

    errors = room.validate(Path(file))
    for error in errors:
        click.echo(f"{printable(file)}: {printable(error, limit=2000)}")
    if not errors:
        click.echo(f"{printable(file)}: a valid schema")
    return 1 if errors else 0


COMMAND = schema
