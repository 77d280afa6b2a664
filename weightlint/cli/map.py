"""`weightlint map`: what a loader does with each tensor on each rank, as a table or as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from weightlint.cli._choices import complete_arch
from weightlint.cli._plans import contract_option, loader_option, plan_of, plan_options

CODES = """\b
Tensors are fed file by file, files in natural order, in each as its header lists them. The safetensors library
hands the tensors of a file out by name: --order name does the same.

\b
Exit codes:
  0  every rank loads all of it
  1  some rank raises, or keeps a parameter that is not or only partly written
  2  wrong usage, or nothing is known of what this loader does with such a model"""


@click.command("map", epilog=CODES)
@click.argument("target", metavar="PATH")
@loader_option
@contract_option
@plan_options
@click.option("--rank", metavar="RANK", help="Only this rank and those like it: tp0.pp1.")
@click.option(
    "--arch", metavar="NAME", shell_complete=complete_arch, help="Architecture, if the config does not tell."
)
@click.option("--config", metavar="FILE", help="The model's config.json, if not beside the files.")
@click.option("--schema", metavar="FILE", help="Your own schema, TOML or JSON, in place of --arch.")
@click.option(
    "--order", type=click.Choice(("header", "name")), default="header", help="Order of one file's tensors."
)
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", help="text or json.")
@click.option("-o", "--output", metavar="FILE", help="File to write; standard output if none is given.")
def load_map(target: str, *, loader: str | None, form: str, output: str | None, **given: Any) -> int:
    """Print which parameter each tensor fills on each rank, and what is skipped, refused or left unwritten.

    PATH is a folder, a tensor file, an index file or a snapshot, or the address of one (hf://org/model, s3://,
    gs://, https://). Nothing is loaded; the framework need not be
    installed.
    """
    from weightlint import api
    from weightlint.errors import UsageError

    if loader is None and given["contract"] is None:
        message = "which framework? give --loader vllm@0.8.4; `weightlint list loaders` has all"
        raise UsageError(message)
    if given["schema"] and given["arch"]:
        message = "--arch and --schema both name an architecture; keep one"
        raise UsageError(message)
    plan = plan_of(given)
    table = api.load_map(target, loader=loader, plan=plan, **given)
    _write(json.dumps(table, indent=1) if form == "json" else _text(table), output)
    rows: Any = table["ranks"]
    trouble = ("errors", "never_written", "partly_written", "build_error")
    return 1 if any(row.get(key) for row in rows for key in trouble) else 0


def _text(table: dict[str, object]) -> str:
    from weightlint.loader import release
    from weightlint.loading.listing import lines

    return "\n".join(lines(table, release(str(table["loader"])).says)).rstrip()


def _write(text: str, output: str | None) -> None:
    from weightlint.errors import UsageError

    if output is None:
        click.echo(text)
        return
    try:
        Path(output).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        message = f"{output}: {error.strerror}"
        raise UsageError(message) from error


COMMAND = load_map
