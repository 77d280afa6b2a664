"""`weightlint synth`: write a checkpoint of an architecture, whole or tiny."""

from __future__ import annotations

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
    from weightlint import synth as room
    from weightlint.finding import printable

    made = room.synth(out, arch=arch, config=config, tiny=tiny)
    click.echo(f"{printable(out)}: {made.tensors:,} tensors in {made.files:,} files, {made.bytes:,} bytes")


COMMAND = synth
