"""`weightlint rename`: the exact map of a checkpoint's names to another dialect, as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import click

from weightlint.cli._choices import complete_arch, complete_dialect

VARIANTS = """\b
A dialect may have variants; tags choose them, as in --to gguf:whole or --to megatron:local,stacked.
`weightlint list dialects` has the dialects, an unknown tag the tags of one.

\b
Exit codes:
  0  every tensor of the target can be made, and every tensor of the checkpoint has a place
  1  tensors are missing or have no place; the map names them
  2  wrong usage, or the target has no way of writing this model"""


@click.command("rename", epilog=VARIANTS)
@click.argument("target", metavar="PATH")
@click.option(
    "--to",
    required=True,
    metavar="DIALECT[:TAG,...]",
    shell_complete=complete_dialect,
    help="Spelling that is wanted.",
)
@click.option(
    "--from",
    "source",
    metavar="DIALECT",
    shell_complete=complete_dialect,
    help="Spelling of the checkpoint; told by its names if none is given.",
)
@click.option(
    "--arch", metavar="NAME", shell_complete=complete_arch, help="Architecture, if the config does not tell."
)
@click.option("--config", metavar="FILE", help="The model's config.json, if not beside the files.")
@click.option("--schema", metavar="FILE", help="Your own schema, TOML or JSON, in place of --arch.")
@click.option(
    "--folded", is_flag=True, help="One entry for all that differ in numbers only, with exact patterns."
)
@click.option("-o", "--output", metavar="FILE", help="File to write; standard output if none is given.")
def rename(
    target: str,
    *,
    to: str,
    source: str | None,
    arch: str | None,
    config: str | None,
    schema: str | None,
    folded: bool,
    output: str | None,
) -> int:
    """Print which tensors become which in another spelling, and how.

    PATH is a folder, a tensor file, an index file or a snapshot, or the address of one (hf://org/model, s3://,
    gs://, https://). No bytes are moved.
    """
    from weightlint import api
    from weightlint.errors import UsageError

    if schema and arch:
        message = "--arch and --schema both name an architecture; keep one"
        raise UsageError(message)
    found = api.rename(target, to=to, source=source, arch=arch, config=config, schema=schema)
    text = json.dumps(api.rename_table(found, folded=folded), indent=2)
    if output is None:
        click.echo(text)
    else:
        try:
            Path(output).write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            message = f"{output}: {error.strerror}"
            raise UsageError(message) from error
    return 1 if found.missing or found.unknown else 0


COMMAND = rename
