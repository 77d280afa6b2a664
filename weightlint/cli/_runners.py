"""Who does the work: `--runner` and the options that the runners of the drawer take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from weightlint.cli._choices import RUNNERS
from weightlint.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weightlint.probe import Option, Runner

DEFAULT = "threads"

F = TypeVar("F", bound="Callable[..., Any]")


def runner_options(command: F) -> F:
    """Give a command the option `--runner` and those of all runners."""
    for option in reversed([*_options().values()]):
        command = click.option(
            f"--{option.name}",
            metavar=option.metavar,
            help=option.says,
            type=click.IntRange(1) if option.number else str,
        )(command)
    return click.option(
        "--runner",
        metavar="NAME",
        help="Who does the work: see `weightlint list runners`; threads if not given.",
    )(command)


def _options() -> dict[str, Option]:
    return {option.name: option for runner in RUNNERS.values() for option in runner.options}


def chosen(given: Mapping[str, Any]) -> Runner:
    """Return the runner that the options of a command ask for.

    Raises:
        UsageError: there is none of this name, or it does not take an option that is given.
    """
    name = given["runner"] or DEFAULT
    if name not in RUNNERS:
        message = f"--runner {name}: no such runner{nearest(name, RUNNERS)}; there are {', '.join(RUNNERS)}"
        raise UsageError(message)
    values = {key: given[key] for key in _options() if given[key] is not None}
    for key in values:
        takes = [each for each, runner in RUNNERS.items() if any(it.name == key for it in runner.options)]
        if name not in takes:
            message = f"--{key} is no option of --runner {name}; it is for --runner {' or '.join(takes)}"
            raise UsageError(message)
    return RUNNERS[name].configured(values)
