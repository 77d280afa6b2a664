"""`weightlint synth`: write a checkpoint of an architecture, whole or tiny."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from weightlint.cli._choices import complete_arch


@click.command("synth")
@click.argument("out", metavar="OUT")
@click.option(
    "--arch",
    required=True,
    metavar="NAME",
    shell_complete=complete_arch,
    help="Architecture: see `weightlint schema list`.",
)
@click.option("--config", metavar="FILE", help="A config.json; the published one if none is given.")
@click.option("--tiny", is_flag=True, help="Same names, shrunk sizes, real data.")
def synth(out: str, *, arch: str, config: str | None, tiny: bool) -> None:
    """Write a checkpoint into the folder OUT.

    Without --tiny the files are sparse: full apparent size, few bytes on disk.
    """
    given = None if config is None else _config(Path(config))
    from weightlint import synth as room
    from weightlint.finding import printable

    made = room.synth(Path(out), arch=arch, config=given, tiny=tiny)
    click.echo(f"{printable(out)}: {made.tensors:,} tensors in {made.files:,} files, {made.bytes:,} bytes")


def _config(file: Path) -> dict[str, Any]:
    from weightlint.errors import UsageError

    try:
        table = json.loads(file.read_bytes())
    except OSError as error:
        message = f"{file}: {error.strerror}; --config wants a config.json"
        raise UsageError(message) from error
    except (ValueError, RecursionError) as error:
        message = f"{file}: not JSON: {error}"
        raise UsageError(message) from error
    if not isinstance(table, dict):
        message = f"{file}: not a config but a JSON {type(table).__name__}"
        raise UsageError(message)
    return table


COMMAND = synth
