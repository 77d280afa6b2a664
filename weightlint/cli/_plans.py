"""Options for what reads a checkpoint, how it is spread over processes and what each has of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from weightlint.cli._choices import complete_loader

if TYPE_CHECKING:
    from collections.abc import Callable

    from weightlint.plan import Plan

F = TypeVar("F", bound="Callable[..., object]")
DEGREE = click.IntRange(min=1)


def loader_option(command: F) -> F:
    """Add `--loader`."""
    return click.option(
        "--loader",
        metavar="NAME[@VERSION]",
        shell_complete=complete_loader,
        help="What is to read it: vllm@0.8.4. Without a version, the newest known; see `weightlint list loaders`.",
    )(command)


def contract_option(command: F) -> F:
    """Add `--contract`."""
    return click.option(
        "--contract",
        metavar="FILE",
        help="A recorded contract, TOML or JSON, in place of the one that is built in for the loader.",
    )(command)


def plan_options(command: F) -> F:
    """Add the ways of giving a plan."""
    options = (
        click.option("--plan", metavar="PLAN", help="How it is spread over processes: tp=8,pp=3,ep=8,dp=2."),
        click.option("--tp", type=DEGREE, metavar="N", help="Degree of tensor parallelism."),
        click.option("--pp", type=DEGREE, metavar="N", help="Degree of pipeline parallelism."),
        click.option(
            "--ep",
            type=DEGREE,
            metavar="N",
            help="Degree of expert parallelism; in vLLM tp x dp where it is on.",
        ),
        click.option("--dp", type=DEGREE, metavar="N", help="Degree of data parallelism."),
        click.option("--pp-layers", metavar="N,...", help="Layers of each pipeline stage: 22,20,19."),
        click.option(
            "--plan-file", metavar="FILE", help="A whole plan, TOML or JSON, or plans of transformers."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def gpu_options(command: F) -> F:
    """Add `--gpu` and `--gpu-memory`."""
    command = click.option("--gpu-memory", metavar="SIZE", help="Memory of each process: 80GiB.")(command)
    return click.option("--gpu", metavar="NAME", help="What each process runs on: h100, h20, mi300x ...")(
        command
    )


def plan_of(given: dict[str, Any]) -> Plan | None:
    """Take the options of a plan out of those given and make a plan of them, None where there is none."""
    degrees = {kind: given.pop(kind) for kind in ("tp", "pp", "ep", "dp")}
    text, layers, file = given.pop("plan"), given.pop("pp_layers"), given.pop("plan_file")
    if text is None and layers is None and file is None and not any(degrees.values()):
        return None
    from weightlint.plan_text import put_together

    return put_together(text, degrees, layers, file)
