"""`weightlint snapshot`: keep what the headers say, a few kilobytes in place of the weights."""

from __future__ import annotations

import click


@click.command("snapshot")
@click.argument("target", metavar="PATH")
@click.option("-o", "--output", required=True, metavar="FILE", help="File to write: x.json.gz.")
def snapshot(target: str, *, output: str) -> None:
    """Store names, dtypes, shapes, files and sizes of a checkpoint.

    Every command that needs no bytes takes the snapshot in place of the checkpoint.
    """
    from weightlint import api
    from weightlint.finding import printable

    size = api.snapshot(target, output)
    click.echo(f"{printable(output)}: {size:,} bytes")


COMMAND = snapshot
