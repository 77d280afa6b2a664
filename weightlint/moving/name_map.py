"""The exact map of names from one spelling of a model to another, with the moves between.

Each entry makes tensors of the target out of tensors of the source, through the schema's own names
where both have a table. No bytes are touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.expected import Presence
from weightlint.moving.opaque import Absorb, Dequantise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.expected import Expected, Slot
    from weightlint.moving.move import Move
    from weightlint.moving.recipe import Recipe

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """Some tensors in, moves, some tensors out; names in between are those of the schema."""

    take: Names
    moves: tuple[Move, ...]
    give: Names


@dataclass(frozen=True, slots=True)
class Entry:
    """Tensors of the target, the tensors of the source that they need, and the steps."""

    sources: Names
    targets: Names
    steps: tuple[Step, ...]
    need: Presence = Presence.REQUIRED


@dataclass(frozen=True, slots=True)
class NameMap:
    """Makes the entries of a target out of ways back to the schema's names.

    `ways` say for each name of the schema how it comes out of the source. `block` are the rows and
    columns that share one scale, where the source has scales that the target takes in. MTP layers are
    left out unless `ahead`. Entries of which the source lacks something have no steps; `sources` are then
    the schema's names.
    """

    target: Expected
    ways: Mapping[str, Step]
    block: tuple[int, int] | None = None
    ahead: bool = True

    def entries(self) -> Iterator[Entry]:
        """Yield what makes each tensor of the target, in the order of its slots."""
        scales = _scales(self.target) if self.block is not None else {}
        for need, sources, moves, targets in self._asked():
            beside = tuple(scales[name] for name in sources if name in scales)
            only = tuple(at for at, name in enumerate(sources) if name in scales)
            plain = (Dequantise(self.block, only),) if beside and self.block is not None else ()
            yield self._entry(need, (*sources, *beside), (*plain, *moves), targets)

    def _asked(self) -> Iterator[tuple[Presence, Names, tuple[Move, ...], Names]]:
        if not self.target.recipes:
            for slot in self.target.slots:
                for name in slot.names() if slot.need is not Presence.TIED else ():
                    yield slot.need, (name,), (), (name,)
        for recipe in self.target.recipes:
            need = recipe.targets[0].need
            if need is not Presence.TIED and (self.ahead or not recipe.ahead):
                for sources, targets in recipe.pairs():
                    yield need, self._stored(recipe, sources), recipe.moves, tuple(targets)

    def _stored(self, recipe: Recipe, names: Sequence[str]) -> Names:
        """Name the embedding where a head is tied to it and is not stored by itself."""
        source = recipe.sources[0]
        if source.need is Presence.TIED and source.tie and names[0] not in self.ways:
            return (source.tie,)
        return tuple(names)

    def _entry(self, need: Presence, names: Names, moves: tuple[Move, ...], targets: Names) -> Entry:
        if not all(name in self.ways for name in names):
            return Entry(names, targets, (), need)
        ways = {way.take: way for way in map(self.ways.__getitem__, names)}
        first, last = next(iter(ways.values())), Step(names, moves, targets)
        if all(way.take == way.give for way in ways.values()):
            return Entry(names, targets, (last,), need)
        if first.give == names or (len(ways) == len(names) and not any(way.moves for way in ways.values())):
            taken = tuple(name for way in ways.values() for name in way.take)
            return Entry(taken, targets, (Step(taken, shortened((*first.moves, *moves)), targets),), need)
        found = tuple(name for way in ways.values() for name in way.take)
        return Entry(found, targets, (*ways.values(), last), need)


def shortened(moves: Sequence[Move]) -> tuple[Move, ...]:
    """Leave out neighbours that undo each other."""
    out: list[Move] = []
    for move in moves:
        if out and not isinstance(move, (Absorb, Dequantise)) and out[-1] == move.inverse():
            out.pop()
        else:
            out.append(move)
    return tuple(out)


def ways_back(source: Expected) -> Iterator[tuple[str, Step]]:
    """Yield for each name of the schema how it comes out of a rewritten expectation, or of a plain one."""
    if not source.recipes:
        for slot in source.slots:
            yield from ((name, Step((name,), (), (name,))) for name in slot.names())
    for recipe in source.recipes:
        if recipe.derived or recipe.sources[0].need is Presence.TIED is recipe.targets[0].need:
            continue
        moves = tuple(move.inverse() for move in reversed(recipe.moves))
        for sources, targets in recipe.pairs():
            step = Step(tuple(targets), moves, tuple(sources))
            yield from ((name, step) for name in sources)


def _scales(target: Expected) -> dict[str, str]:
    """Return for each weight whose scale the target takes in the name of that scale."""
    weights: Mapping[str, Slot] = {s.pattern: s for it in target.recipes for s in it.sources}
    out: dict[str, str] = {}
    for scale in target.dropped:
        weight = weights.get(scale.of or "")
        if weight is not None:
            out |= {weight.name(coord): scale.name(coord) for coord in scale.coords()}
    return out
