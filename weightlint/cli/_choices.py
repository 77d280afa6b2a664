"""What may stand for an architecture, a rule or a format: reading, nearest names, shell completion.

Completion lists drawers and folders; it never reads a checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.drawer import Drawer
from weightlint.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import click
    from click.shell_completion import CompletionItem

    from weightlint.dialect import Dialect
    from weightlint.finding import Output
    from weightlint.loader import Loader
    from weightlint.probe import Runner
    from weightlint.rule import Rule

OUTPUTS: Drawer[Output] = Drawer("outputs", "OUTPUT")
DIALECTS: Drawer[Dialect] = Drawer("dialects", "DIALECT")
LOADERS: Drawer[Loader] = Drawer("loaders", "LOADER")
RULES: Drawer[Rule] = Drawer("rules", "RULE")
RUNNERS: Drawer[Runner] = Drawer("runners", "RUNNER")


def selectors(given: Iterable[str]) -> tuple[str, ...]:
    """Split `WL2,missing-tensor` into prefixes of codes, in capitals, and names of rules.

    Raises:
        UsageError: no rule has such a code or name.
    """
    words = [word.strip() for text in given for word in text.split(",") if word.strip()]
    return tuple(_selector(word, [*RULES.values()]) for word in words)


def _selector(word: str, rules: Sequence[Rule]) -> str:
    if any(rule.code.startswith(word.upper()) for rule in rules):
        return word.upper()
    if any(rule.name == word.lower() for rule in rules):
        return word.lower()
    message = f"no rule {word!r}{nearest_rule(word, rules)}; `weightlint list rules` shows all"
    raise UsageError(message)


def nearest_rule(word: str, rules: Iterable[Rule]) -> str:
    """Return a hint with the codes or names of rules that are written like a word."""
    if word[:2].upper() == "WL":
        return nearest(word.upper(), [rule.code for rule in rules])
    return nearest(word.lower(), [rule.name for rule in rules])


def complete_arch(_ctx: click.Context, _param: click.Parameter, start: str) -> list[str]:
    """Complete the name of a bundled schema."""
    from weightlint import schema

    return [name for name in schema.every() if name.startswith(start)]


def complete_dialect(_ctx: click.Context, _param: click.Parameter, start: str) -> list[str]:
    """Complete the name of a dialect."""
    return [name for name in DIALECTS if name.startswith(start)]


def complete_loader(_ctx: click.Context, _param: click.Parameter, start: str) -> list[str]:
    """Complete the name of a loader, or after the name its recorded versions."""
    name, at, version = start.partition("@")
    if not at:
        return [each for each in LOADERS if each.startswith(start)]
    if name not in LOADERS:
        return []
    known = dict.fromkeys((*LOADERS[name].recorded, LOADERS[name].newest))
    return [f"{name}@{each}" for each in known if each.startswith(version)]


def complete_rule(_ctx: click.Context, _param: click.Parameter, start: str) -> list[CompletionItem]:
    """Complete the last of some comma-separated codes or names of rules."""
    from click.shell_completion import CompletionItem

    done, comma, word = start.rpartition(",")
    return [
        CompletionItem(done + comma + label, help=rule.title)
        for rule in RULES.values()
        for label in (rule.code, rule.name)
        if label.lower().startswith(word.lower())
    ]


def complete_format(_ctx: click.Context, _param: click.Parameter, start: str) -> list[str]:
    """Complete the name of an output format."""
    return [name for name in OUTPUTS if name.startswith(start)]
