"""One checkpoint's map of names to another dialect: what is made of what, and what is left over.

Knows the case that was opened and the dialects; moves no bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.errors import DialectError, UsageError
from weightlint.expectation import DIALECTS, dialect_named
from weightlint.expected import Presence
from weightlint.moving.name_map import Entry, NameMap, Step, ways_back
from weightlint.moving.rewriting import MTP, consumed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from weightlint.case import Case
    from weightlint.dialect import Dialect, Variant
    from weightlint.expected import Expected
    from weightlint.spelling import Spelling

Ways = dict[str, Step]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Tensors of the source that the target has no use for, and why."""

    names: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """The map of one checkpoint, from and to a dialect and the tags of its variant.

    `missing` are names of the source that the target would need besides, in the schema's spelling where
    the source has none; `unknown` are tensors that have no place in the model.
    """

    checkpoint: str
    arch: str
    source: tuple[str, tuple[str, ...]]
    target: tuple[str, tuple[str, ...]]
    entries: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]


def renamed(case: Case, to: str, source: str | None = None) -> Renaming:
    """Work out the map of a checkpoint's names to a dialect, `NAME` or `NAME:TAG,TAG` for a variant.

    Raises:
        UsageError: the architecture is not known, the names are of another dialect than `source`, or
            the target cannot write this model.
    """
    name, _, tags = to.partition(":")
    dialect = dialect_named(name)
    variant = dialect.chosen(tag for tag in tags.split(",") if tag)
    spelling = _spelling(case, source)
    base = _base(case, spelling)
    target = dialect.rewrite(base, variant)
    every = _ways(base, spelling)
    held = case.index.rows
    ways = {name: way for name, way in every.items() if all(map(held.__contains__, way.take))}
    ahead = target.schema not in dialect.leaves_mtp
    entries = list(NameMap(target, ways, _block(case), ahead).entries())
    whole = tuple(entry for entry in entries if entry.steps)
    used = {name for entry in whole for name in entry.sources}
    left_out = tuple(_left_out(case, dialect, target, ways, used))
    gone = used.union(*(group.names for group in left_out))
    return Renaming(
        checkpoint=case.checkpoint.target,
        arch=base.schema,
        source=(spelling.dialect.name, _tags(spelling.dialect, spelling.variant)),
        target=(dialect.name, _tags(dialect, variant)),
        entries=whole,
        left_out=left_out,
        missing=tuple(dict.fromkeys(_missing(base, entries, every, held))),
        unknown=tuple(name for name in _extra(case) if name not in gone),
    )


def _spelling(case: Case, source: str | None) -> Spelling:
    spelling = case.spelling
    if spelling is None:
        message = f"{case.checkpoint.target}: no map of names without the architecture: {case.unexpanded}"
        raise UsageError(message)
    if spelling.native:
        message = f"{case.checkpoint.target}: the keys of a GGUF file do not name the original's tensors; give --config FILE"
        raise UsageError(message)
    if source is not None and spelling.dialect.name != source:
        message = f"{case.checkpoint.target}: the names are those of {spelling.dialect.name}, not of {source}"
        raise DialectError(message)
    return spelling


def _tags(dialect: Dialect, variant: Variant | None) -> tuple[str, ...]:
    """Return the tags of a variant in the order of the choices."""
    tags = variant.tags if variant else frozenset(way[0].tag for way in dialect.choices)
    return tuple(option.tag for way in dialect.choices for option in way if option.tag in tags)


def _base(case: Case, spelling: Spelling) -> Expected:
    """Return the expectation in the schema's names, without scales where the source has taken them in."""
    assert case.plain is not None
    if not spelling.dialect.lines or spelling.dialect.scale:
        return case.plain
    return replace(case.plain, slots=consumed(case.plain.slots)[0])


def _block(case: Case) -> tuple[int, int] | None:
    table = case.config.quantization if case.config is not None and case.quant is not None else None
    size = (table or {}).get("weight_block_size")
    return (size[0], size[1]) if isinstance(size, list) else None


def _ways(base: Expected, spelling: Spelling) -> Ways:
    """Return how each name of the schema comes out of the checkpoint.

    Where a plain spelling has a layout as transformers 5 writes it, both its names and the usual ones
    may stand in the files, layer by layer.
    """
    asked = spelling.asked
    if asked.recipes:
        return dict(ways_back(asked))
    ways: Ways = {}
    fused = DIALECTS["hf_fused"]
    if base.layouts and base.schema in fused.schemas:
        ways |= ways_back(_prefixed(fused.rewrite(base), spelling))
    present = {name for slot in spelling.joined.expected.slots for name in slot.names()}
    for slot, spelt in zip(base.slots, asked.slots, strict=True):
        for name, stored in zip(slot.names(), spelt.names(), strict=True):
            if stored in present or name not in ways:
                ways[name] = Step((stored,), (), (name,))
    return ways


def _prefixed(expected: Expected, spelling: Spelling) -> Expected:
    for prefix in spelling.prefixes:
        expected = expected.rename(prefix.spell)
    return expected


def _missing(base: Expected, entries: Iterable[Entry], every: Ways, held: Mapping[str, int]) -> Iterator[str]:
    """Yield what the entries lack that must be there, as the source would spell it.

    Layers for MTP may be absent, all of them.
    """
    ahead = set(_ahead(base))
    if any(name in held for it in ahead if it in every for name in every[it].take):
        ahead.clear()
    for entry in entries:
        if entry.steps or entry.need is not Presence.REQUIRED:
            continue
        for name in entry.sources:
            if name not in ahead:
                way = every.get(name)
                yield from (each for each in (way.take if way else (name,)) if each not in held)


def _ahead(base: Expected) -> Iterator[str]:
    """Yield the names of the layers for MTP."""
    numbers = frozenset(base.axes.get(MTP, ()))
    for slot in base.slots if numbers else ():
        for coord, name in zip(slot.coords(), slot.names(), strict=True):
            if coord and coord[0] in numbers:
                yield name


def _left_out(
    case: Case, dialect: Dialect, target: Expected, ways: Ways, used: set[str]
) -> Iterator[LeftOut]:
    """Group what is there, has a place in the model and is not used, by why that is so."""
    groups: dict[str, dict[str, None]] = {}
    for name, why in _without_place(case, dialect, target):
        if name in ways:
            groups.setdefault(why, {}).update(dict.fromkeys(ways[name].take))
    named = {name for names in groups.values() for name in names}
    matched = (case.index.names[row] for rows in case.joined.matched.values() for row in rows)
    rest = {name: None for name in matched if name not in used and name not in named}
    groups["worked out of other tensors, or a copy of one"] = rest
    for why, names in groups.items():
        left = tuple(name for name in names if name not in used)
        if left:
            yield LeftOut(left, why)


def _without_place(case: Case, dialect: Dialect, target: Expected) -> Iterator[tuple[str, str]]:
    """Yield the schema's names that a dialect drops or leaves out, each with the reason."""
    why_mtp = dialect.lacks_mtp or dialect.leaves_mtp.get(target.schema, "")
    ahead = set(_ahead(case.plain)) if case.plain and why_mtp else set()
    leaves = target.schema in dialect.leaves_mtp
    left = (slot for recipe in target.recipes if leaves and recipe.ahead for slot in recipe.sources)
    for slot in (*target.dropped, *left):
        for name in slot.names():
            yield name, why_mtp if name in ahead else f"{dialect.title} has no place for it"


def _extra(case: Case) -> Iterator[str]:
    return (case.index.names[row] for rows in case.joined.extra.values() for row in rows.values())
