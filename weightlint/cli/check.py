"""`weightlint check`: options, settings, the API, the report in its formats, the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weightlint.cli._choices import complete_arch, complete_dialect, complete_format, complete_rule
from weightlint.cli._plans import contract_option, gpu_options, loader_option, plan_options

if TYPE_CHECKING:
    from weightlint.settings import Settings

LIMITS = """\b
Exit codes:
  0  clean
  1  findings at or above --fail-on
  2  wrong usage, or weightlint itself failed
  3  nothing could be read or checked

\b
Limits for what a file may ask of this machine; beyond one is a finding or an error, never a crash:
  safetensors header  100,000,000 bytes (as the safetensors library)
  GGUF                65,536 keys, texts and arrays 2^30 (as llama.cpp), 16 MB of values kept
  JSON                64 levels of nesting
  tensor              rank 64, name 1,024 bytes; in GGUF 4 and 63 (as llama.cpp)
  index file          1 GB
  config              10,000 layers, 100,000 of any other axis, 4,000,000 tensors in all
  snapshot            20,000,000 tensors
  findings            10,000 of one rule; text shows 10 of each

\b
Settings: the nearest weightlint.toml, or pyproject.toml with [tool.weightlint], from the current
folder upwards; keys arch, config, dialect, fail-on, format, ignore, loader, plan, select. One that lies in
the folder that is checked is not read: a checkpoint must not silence its own findings."""


@click.command("check", epilog=LIMITS)
@click.argument("target", metavar="PATH")
@click.option(
    "--arch",
    metavar="NAME",
    shell_complete=complete_arch,
    help="Architecture, if the config does not tell: see `weightlint schema list`.",
)
@click.option("--config", metavar="FILE", help="The model's config.json, if not beside the files.")
@click.option(
    "--dialect",
    metavar="NAME",
    shell_complete=complete_dialect,
    help="Spelling that the names are to have: see `weightlint list dialects`.",
)
@click.option("--schema", metavar="FILE", help="Your own schema, TOML or JSON, in place of --arch.")
@click.option("--dtype", metavar="NAME", help="The dtype it will run in: float16, bfloat16, float32.")
@click.option("--device", metavar="NAME", help="Where it will run: cpu, mps, cuda ...")
@loader_option
@contract_option
@plan_options
@gpu_options
@click.option(
    "--format",
    multiple=True,
    metavar="FORMAT[=FILE]",
    shell_complete=complete_format,
    help="Output format, text if none is given: see `weightlint list outputs`. Several may each have a file.",
)
@click.option("--output", metavar="FILE", help="File of the last format; standard output if none.")
@click.option(
    "--select",
    multiple=True,
    metavar="RULE,...",
    shell_complete=complete_rule,
    help="Run these rules only: names, codes or beginnings of codes such as WL2.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="RULE,...",
    shell_complete=complete_rule,
    help="Leave these rules out; wins over --select.",
)
@click.option(
    "--fail-on",
    type=click.Choice(("info", "warning", "error")),
    help="Lowest level that gives exit code 1; error if none is given.",
)
@click.option("--settings", metavar="FILE", help="Read settings from this file.")
@click.option("--no-settings", is_flag=True, help="Read no settings.")
def check(
    target: str,
    *,
    settings: str | None,
    no_settings: bool,
    output: str | None,
    schema: str | None,
    dtype: str | None,
    device: str | None,
    gpu: str | None,
    gpu_memory: str | None,
    contract: str | None,
    **given: Any,
) -> int:
    """Tell whether a checkpoint will load.

    PATH is a folder, a tensor file, an index file or a snapshot, or the address of one (hf://org/model, s3://,
    gs://, https://). Only headers are read.
    """
    from weightlint import api
    from weightlint.cli._choices import selectors
    from weightlint.cli._plans import plan_of
    from weightlint.cli._reports import destinations, write
    from weightlint.errors import UsageError
    from weightlint.finding import Level

    if schema and given["arch"]:
        message = "--arch and --schema both name an architecture; keep one"
        raise UsageError(message)
    plan = plan_of(given)
    chosen = _settings(target, settings, off=no_settings).over(given)
    places = destinations(chosen.format, output)
    report = api.check(
        target,
        arch=None if schema else chosen.arch,
        config=chosen.config,
        schema=schema,
        dialect=chosen.dialect,
        select=selectors(chosen.select),
        ignore=selectors(chosen.ignore),
        dtype=dtype,
        device=device,
        loader=chosen.loader,
        contract=contract,
        plan=chosen.plan if plan is None else plan,
        gpu=gpu,
        gpu_memory=gpu_memory,
    )
    write(report, places)
    return report.exit_code(Level[chosen.fail_on.upper()])


def _settings(target: str, file: str | None, *, off: bool) -> Settings:
    from weightlint import settings as room

    if off:
        return room.Settings()
    if file is not None:
        return room.read(Path(file))
    nearest = room.find(Path.cwd())
    if nearest is None:
        return room.Settings()
    if room.inside(nearest, target):
        note = f"{nearest} lies inside the checkpoint and is not read; --settings FILE reads it"
        click.echo(f"weightlint: {note}", err=True)
        return room.Settings()
    return room.read(nearest)


COMMAND = check
