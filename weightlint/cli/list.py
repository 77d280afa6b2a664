"""`weightlint list`: what is in each drawer, straight from its files."""

from __future__ import annotations

import itertools
from importlib import import_module
from typing import TYPE_CHECKING

import click

from weightlint.drawer import Drawer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KINDS = (
    "configs",
    "dialects",
    "digests",
    "formats",
    "loaders",
    "outputs",
    "plans",
    "quants",
    "rules",
    "runners",
    "schemas",
    "shardings",
    "stores",
)


@click.command("list", short_help="List rules, formats, schemas and the like.")
@click.argument("kind", type=click.Choice(KINDS), required=False)
def list_(kind: str | None) -> None:
    """Print what there is of one KIND, a line each; without KIND, how many of each."""
    if kind is None:
        for line in _columns([(each, str(len(_names(each)))) for each in KINDS]):
            click.echo(line)
        return
    rows = _rules() if kind == "rules" else [row for name in _names(kind) for row in _rows(kind, name)]
    for line in _columns(rows):
        click.echo(line)
    if not rows:
        click.echo(f"no {kind} in this version", err=True)


def _rows(kind: str, name: str) -> Iterable[tuple[str, ...]]:
    """Return the line of one item; a dialect has one more for each of its variants."""
    yield name, _title(kind, name)
    if kind == "dialects":
        from weightlint.cli._choices import DIALECTS

        for option in itertools.chain.from_iterable(DIALECTS[name].choices):
            yield f"{name}:{option.tag}", option.title


def _names(kind: str) -> Sequence[str]:
    if kind == "schemas":
        from weightlint import schema

        return schema.every()
    return [*Drawer[object](kind, kind.removesuffix("s").upper())]


def _title(kind: str, name: str) -> str:
    if kind == "schemas":
        from weightlint import schema

        return schema.audience(name)
    page = import_module(f"weightlint.{kind}.{name}").__doc__ or ""
    return page.strip().partition("\n")[0]


def _rules() -> list[tuple[str, ...]]:
    from weightlint.cli._choices import RULES

    rules = sorted(RULES.values(), key=lambda rule: rule.code)
    return [(rule.code, rule.name, str(rule.level), rule.title) for rule in rules]


def _columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True))
        yield "  ".join(cells).rstrip()


COMMAND = list_
