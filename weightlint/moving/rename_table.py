"""A map of names as JSON, version 1: name by name, or folded into patterns.

The form is `schemas/_meta/rename.schema.json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.names import fold, patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weightlint.moving.name_map import Entry, Step
    from weightlint.renaming import Renaming

Table = dict[str, Any]

VERSION = 1


def table(renaming: Renaming, *, program: str, folded: bool = False) -> Table:
    """Return the whole map; `program` is the version of weightlint.

    Folded, entries that differ in numbers only are one, with exact patterns in place of names.
    """
    entries = renaming.entries
    return {
        "version": VERSION,
        "weightlint": program,
        "checkpoint": renaming.checkpoint,
        "arch": renaming.arch,
        "from": _dialect(renaming.source),
        "to": _dialect(renaming.target),
        "summary": {
            "from": len({name for entry in entries for name in entry.sources}),
            "to": sum(len(entry.targets) for entry in entries),
            "left_out": sum(len(group.names) for group in renaming.left_out),
            "missing": len(renaming.missing),
            "unknown": len(renaming.unknown),
        },
        "folded": folded,
        "map": _folded(entries) if folded else [_entry(entry) for entry in entries],
        "left_out": [{"tensors": patterns(group.names), "why": group.why} for group in renaming.left_out],
        "missing": patterns(renaming.missing),
        "unknown": patterns(renaming.unknown),
    }


def _dialect(spelling: tuple[str, tuple[str, ...]]) -> Table:
    name, tags = spelling
    return {"dialect": name, "variant": list(tags)}


def _entry(entry: Entry) -> Table:
    return {"from": list(entry.sources), "to": list(entry.targets), "how": _how(entry)}


def _how(entry: Entry) -> list[Table]:
    """Write the steps; one step goes from all of `from` to all of `to` and names nothing again."""
    if len(entry.steps) == 1:
        return [{"moves": _moves(entry.steps[0])}] if entry.steps[0].moves else []
    return [{"take": list(step.take), "moves": _moves(step), "give": list(step.give)} for step in entry.steps]


def _moves(step: Step) -> list[Table]:
    return [move.spelt() for move in step.moves]


def _folded(entries: Iterable[Entry]) -> list[Table]:
    groups: dict[object, list[Entry]] = {}
    for entry in entries:
        steps = tuple((_templates(step.take), step.moves, _templates(step.give)) for step in entry.steps)
        groups.setdefault((_templates(entry.sources), _templates(entry.targets), steps), []).append(entry)
    return [_group(group) for group in groups.values()]


def _templates(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fold(name)[0] for name in names))


def _group(group: Sequence[Entry]) -> Table:
    """Write alike entries as one: each list of names as the patterns of its families, in their order."""
    first = group[0]
    steps = [
        {
            "take": _together(entry.steps[at].take for entry in group),
            "moves": _moves(step),
            "give": _together(entry.steps[at].give for entry in group),
        }
        for at, step in enumerate(first.steps)
    ]
    if len(steps) == 1:
        steps = [{"moves": steps[0]["moves"]}] if steps[0]["moves"] else []
    return {
        "count": len(group),
        "from": _together(entry.sources for entry in group),
        "to": _together(entry.targets for entry in group),
        "how": steps,
    }


def _together(lists: Iterable[Sequence[str]]) -> list[str]:
    families: dict[str, dict[str, None]] = {}
    for names in lists:
        for name in names:
            families.setdefault(fold(name)[0], {})[name] = None
    return [pattern for names in families.values() for pattern in patterns(names)]
