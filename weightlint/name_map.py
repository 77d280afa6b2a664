"""The exact map of names from one spelling of a model to another, with the moves between.

Each entry makes tensors of the target out of tensors of the source, through the schema's own names
where both have a table. No bytes are touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.expected import Presence
from weightlint.opaque import Absorb, Dequantise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.expected import Expected, Slot
    from weightlint.move import Move
    from weightlint.recipe import Recipe

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

    @property
    def moves(self) -> tuple[Move, ...]:
        """Every move, in order."""
        return tuple(move for step in self.steps for move in step.moves)


class NameMap:
    """Makes the entries from one rewritten expectation to another of the same model.

    What the target needs and the source's spelling does not have is left out and noted as `lacking`.
    `block` are the rows and columns that share one scale, where the source has scales that the target
    takes in. `skipped` are patterns of the target that are not to be made.
    """

    def __init__(
        self,
        source: Expected,
        target: Expected,
        *,
        block: tuple[int, int] | None = None,
        skipped: frozenset[str] = frozenset(),
    ) -> None:
        self.target = target
        self.block = block
        self.skipped = skipped
        self.is_plain = not source.recipes
        self.back = dict(_ways_back(source))
        self.lacking: list[str] = []
        self.scales = _scales(target) if block is not None else {}

    def entries(self) -> Iterator[Entry]:
        """Yield what makes each tensor of the target, in the order of its slots."""
        if not self.target.recipes:
            for slot in self.target.slots:
                for name in slot.names() if slot.need is not Presence.TIED else ():
                    yield from self._entry((name,), (), (name,))
        for recipe in self.target.recipes:
            if not self._is_left_out(recipe):
                for sources, targets in recipe.pairs():
                    names = tuple(self._stored(recipe, sources))
                    yield from self._entry(names, recipe.moves, tuple(targets))

    def _is_left_out(self, recipe: Recipe) -> bool:
        target = recipe.targets[0]
        return target.pattern in self.skipped or target.need is Presence.TIED

    def _stored(self, recipe: Recipe, names: Sequence[str]) -> Sequence[str]:
        """Name the embedding where a head is tied to it and is not stored by itself."""
        source = recipe.sources[0]
        if source.need is Presence.TIED and source.tie and names[0] not in self.back:
            return [source.tie]
        return names

    def _entry(self, needs: Names, moves: tuple[Move, ...], targets: Names) -> Iterator[Entry]:
        absent = [] if self.is_plain else [name for name in needs if name not in self.back]
        if absent:
            self.lacking += absent
            return
        scales = tuple(self.scales[name] for name in needs if name in self.scales)
        if scales:
            assert self.block is not None
            only = tuple(at for at, name in enumerate(needs) if name in self.scales)
            moves = (Dequantise(self.block, only), *moves)
        yield self._joined((*needs, *scales), moves, targets)

    def _joined(self, needs: Names, moves: tuple[Move, ...], targets: Names) -> Entry:
        ways = {way.take: way for name in needs if (way := self.back.get(name)) is not None}
        last = Step(needs, moves, targets)
        if not any(way.moves or way.take != way.give for way in ways.values()):
            return Entry(needs, targets, (last,))
        first = next(iter(ways.values()))
        if first.give == needs:
            return Entry(first.take, targets, (Step(first.take, shortened((*first.moves, *moves)), targets),))
        found = tuple(name for way in ways.values() for name in way.take)
        return Entry(found, targets, (*ways.values(), last))


def shortened(moves: Sequence[Move]) -> tuple[Move, ...]:
    """Leave out neighbours that undo each other."""
    out: list[Move] = []
    for move in moves:
        if out and not isinstance(move, (Absorb, Dequantise)) and out[-1] == move.inverse():
            out.pop()
        else:
            out.append(move)
    return tuple(out)


def _ways_back(source: Expected) -> Iterator[tuple[str, Step]]:
    """Yield for each name of the schema how it comes out of the source."""
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
    for scale in (slot for slot in target.dropped if slot.of in weights):
        assert scale.of is not None
        literal = weights[scale.of]
        out |= {literal.name(coord): scale.name(coord) for coord in scale.coords()}
    return out
