"""`weightlint manifest`: the hashes of every file and tensor, written down while they are sound."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import click

from weightlint.cli._runners import chosen, runner_options


@click.command("manifest", short_help="Write down the hashes of files and tensors.")
@click.argument("target", metavar="PATH")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to write it, compressed if it ends in .gz; else standard output.",
)
@runner_options
@click.option("--quiet", is_flag=True, help="No progress bar.")
def manifest(target: str, *, output: str | None, quiet: bool, **given: Any) -> int:
    """Hash every file and tensor of a checkpoint.

    With it `weightlint verify --manifest FILE` tells which tensors, experts and bytes of a copy differ.
    """
    from weightlint import api
    from weightlint.cli._progress import ears
    from weightlint.errors import UsageError

    with ears(quiet=quiet) as listening:
        text = api.manifest(target, output, runner=chosen(given), ears=listening)
    if output is None:
        click.echo(text, nl=False)
        return 0
    data = text.encode()
    try:
        Path(output).write_bytes(gzip.compress(data, mtime=0) if output.endswith(".gz") else data)
    except OSError as error:
        message = f"{output}: {error.strerror}"
        raise UsageError(message) from error
    click.echo(f"{output}: {len(data):,} bytes")
    return 0


COMMAND = manifest
