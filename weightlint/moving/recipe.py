"""How slots of a dialect are made of slots of the schema, bound to one model and exact both ways."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.moving.sizes import dims_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.expected import Axis, Box, Slot
    from weightlint.moving.move import Move, Row
    from weightlint.names import Coord

Pair = tuple[list[str], list[str]]
"""Names that go in and names that come out, in the order of the moves."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Targets made of sources by moves, for each number of the targets alike.

    `gathered` are the numbers of the last placeholder of the sources that the targets lack: the experts
    of a stack. `spread` are those of the last placeholder of the targets that the sources lack: the
    pieces of one tensor. The first number of a target is `shift` below that of its sources. `derived`
    tells that the sources are kept elsewhere: there is nothing to give back. `ahead` tells that it is of
    the layers for MTP.
    """

    sources: tuple[Slot, ...]
    moves: tuple[Move, ...]
    targets: tuple[Slot, ...]
    gathered: Axis = ()
    spread: Axis = ()
    shift: int = 0
    derived: bool = False
    ahead: bool = False

    def back(self, targets: Sequence[Slot]) -> list[Slot]:
        """Work the sources out of the targets: their names, domains and shapes.

        Raises:
            MoveError: the targets have shapes that these moves cannot have made.
        """
        row: Row = [dims_of(slot.shape, slot.formula) for slot in targets for _ in self.spread or (0,)]
        for move in reversed(self.moves):
            row = move.inverse().apply(row)
        firsts = row[:: len(self.gathered) or 1]
        boxes = tuple(map(self._box_back, targets[0].boxes))
        return [
            replace(source, boxes=boxes, shape=shape_of(dims))
            for source, dims in zip(self.sources, firsts, strict=True)
        ]

    def _box_back(self, box: Box) -> Box:
        inner = box[:-1] if self.spread else box
        if self.shift:
            inner = (tuple(number + self.shift for number in inner[0]), *inner[1:])
        return (*inner, self.gathered) if self.gathered else inner

    def pairs(self) -> Iterator[Pair]:
        """Yield the names that go in and come out, target by target."""
        for coord in self._coords():
            yield self._names_in(coord), self._names_out(coord)

    def _coords(self) -> Iterator[Coord]:
        """Yield the numbers that both sides share, as the targets count them."""
        first = self.targets[0]
        if not self.spread:
            return first.coords()
        boxes = tuple(box[:-1] for box in first.boxes)
        return replace(first, boxes=boxes).coords()

    def _names_in(self, coord: Coord) -> list[str]:
        if self.shift:
            coord = (coord[0] + self.shift, *coord[1:])
        tails: list[Coord] = [(number,) for number in self.gathered] if self.gathered else [()]
        return [slot.name((*coord, *tail)) for slot in self.sources for tail in tails]

    def _names_out(self, coord: Coord) -> list[str]:
        tails: list[Coord] = [(number,) for number in self.spread] if self.spread else [()]
        return [slot.name((*coord, *tail)) for slot in self.targets for tail in tails]
