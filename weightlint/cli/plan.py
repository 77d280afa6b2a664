"""`weightlint plan`: which degrees of parallelism a checkpoint allows on a number of GPUs, and what they weigh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from weightlint.cli._choices import complete_arch
from weightlint.cli._plans import gpu_options, loader_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.planning import Choice, Planning

HEAD = ("tp", "pp", "ep", "weights", "fits", "cache left", "tokens")


@click.command("plan", short_help="List legal plans for a number of GPUs.")
@click.argument("target", metavar="PATH")
@click.option("--gpus", type=click.IntRange(min=1), required=True, metavar="N", help="Number of GPUs.")
@click.option("--dp", type=click.IntRange(min=1), default=1, metavar="N", help="Degree of data parallelism.")
@loader_option
@gpu_options
@click.option(
    "--arch", metavar="NAME", shell_complete=complete_arch, help="Architecture, if the config does not tell."
)
@click.option("--config", metavar="FILE", help="The model's config.json, if not beside the files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(
    target: str,
    *,
    gpus: int,
    dp: int,
    loader: str | None,
    gpu: str | None,
    gpu_memory: str | None,
    arch: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """List every (tp, pp, ep) for a number of GPUs: legal or why not, weights per rank, room for the cache.

    PATH is a folder, a tensor file, an index file or a snapshot, or the address of one (hf://org/model, s3://,
    gs://, https://). Weights are those of the heaviest rank, as
    they are stored. Without --loader, plain arithmetic decides.
    """
    from weightlint import api

    table = api.plan(
        target, gpus=gpus, dp=dp, loader=loader, gpu=gpu, gpu_memory=gpu_memory, arch=arch, config=config
    )
    for line in [_json(table)] if as_json else _lines(table):
        click.echo(line)
    return 0 if any(choice.legal and choice.fits is not False for choice in table.choices) else 1


def _json(table: Planning) -> str:
    import json

    from weightlint import api

    return json.dumps(api.plan_table(table), indent=2)


def _lines(table: Planning) -> Iterator[str]:
    """Yield the table of the legal plans, then the others with their reasons."""
    legal = [choice for choice in table.choices if choice.legal]
    rows = [HEAD, *(_row(choice) for choice in legal)] if legal else []
    columns = len(HEAD) if table.gpu else 4
    wide = [max(len(row[at]) for row in rows) for at in range(columns)] if rows else []
    for row in rows:
        yield "  ".join(f"{cell:>{width}}" for cell, width in zip(row, wide, strict=False)).rstrip()
    for choice in table.choices:
        if not choice.legal:
            yield f"not {_degrees(choice)}: {'; '.join(dict.fromkeys(it.line for it in choice.refusals))}"
    yield _summary(table, len(legal))


def _row(choice: Choice) -> tuple[str, ...]:
    from weightlint.gpu import shown

    plan = choice.plan
    left = "" if choice.left is None or choice.left <= 0 else shown(choice.left)
    tokens = f"{choice.tokens:,}" if choice.tokens else ""
    fits = {None: "", True: "yes", False: "no"}[choice.fits]
    size = shown(choice.heaviest)
    return str(plan.tp), str(plan.pp), str(plan.ep), size, fits, left, tokens


def _degrees(choice: Choice) -> str:
    return f"tp={choice.plan.tp} pp={choice.plan.pp} ep={choice.plan.ep}"


def _summary(table: Planning, legal: int) -> str:
    from weightlint.finding import printable
    from weightlint.gpu import shown

    by = f" in {table.loader}" if table.loader else ""
    on = f" of {shown(table.gpu.memory)}" if table.gpu else ""
    noun = "plan holds" if legal == 1 else "plans hold"
    return (
        f"{legal} of {len(table.choices)} {noun} for {printable(table.arch)}{by} on {table.gpus:,} GPUs{on}"
    )


COMMAND = plan
