"""`weightlint explain`: the page of one rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from weightlint.cli._choices import RULES, complete_rule, nearest_rule

if TYPE_CHECKING:
    from weightlint.rule import Rule


@click.command("explain", short_help="Print the page of one rule.")
@click.argument("rule", shell_complete=complete_rule)
def explain(rule: str) -> None:
    """Print what a rule checks, why it matters, an example and the cure.

    RULE is a code such as WL201 or a name such as missing-tensor.
    """
    found = _rule(rule)
    click.echo(f"{found.code} {found.name}  {found.level}  since {found.since}")
    click.echo(f"needs: {', '.join(sorted(found.needs)) or 'nothing but files'}\n")
    click.echo(found.page.strip())


def _rule(word: str) -> Rule:
    rules = [*RULES.values()]
    for rule in rules:
        if word.upper() == rule.code or word.lower() == rule.name:
            return rule
    from weightlint.errors import UsageError

    message = f"no rule {word!r}{nearest_rule(word, rules)}; `weightlint list rules` shows all"
    raise UsageError(message)


COMMAND = explain
