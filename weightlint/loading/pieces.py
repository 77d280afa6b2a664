"""Pieces of parameters, and how they are put together: one above the other, or stacked by expert."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.expr import ceil_div
from weightlint.loading.param import Part

if TYPE_CHECKING:
    from weightlint.dtype import Shape
    from weightlint.expected import Slot
    from weightlint.loading.contract import Fuse
    from weightlint.loading.copying import Copy, Cutting


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What one slot gives to one parameter of a rank.

    `room` is the rank's part, row-major. For scales of blocks `weight_rows` are the rows of the weight below and
    `block_rows` those under one scale.
    """

    param: str
    part: str
    slot: Slot
    room: Shape
    cutting: Cutting
    copy: Copy
    fuse: Fuse | None = None
    is_expert: bool = False
    weight_rows: int = 0
    block_rows: int = 0

    def moved(self, param: str) -> Piece:
        """Return the same piece of another layer's parameter."""
        return replace(self, param=param)


def joined(pieces: list[Piece], order: tuple[str, ...]) -> tuple[Shape, dict[str, Part]]:
    """Put pieces one above the other, in the order of their names.

    Where a block of scales straddles two pieces, frameworks round each piece's place up on its own but the whole
    only once, so that the last one may not have room.
    """
    if len(pieces) == 1 and not pieces[0].part:
        only = pieces[0]
        return only.room, {"": Part((0,) * len(only.room), only.room, only.cutting)}
    by_name = {piece.part: piece for piece in pieces}
    parts: dict[str, Part] = {}
    rows = 0
    for name in order:
        piece = by_name.get(name)
        if piece is None:
            continue
        block = piece.block_rows or 1
        offset = (ceil_div(rows, block), *(0,) * (len(piece.room) - 1))
        parts[name] = Part(offset, piece.room, piece.cutting)
        rows += piece.weight_rows or piece.room[0]
    last = pieces[-1]
    return (ceil_div(rows, last.block_rows or 1), *last.room[1:]), parts


def stacked(pieces: list[Piece], experts: int) -> tuple[Shape, dict[str, Part]]:
    """Stack the projections of the experts that a rank holds, gate above up."""
    parts: dict[str, Part] = {}
    rows = 0
    for piece in pieces:
        parts[piece.part] = Part((rows, *(0,) * (len(piece.room) - 1)), piece.room, piece.cutting)
        rows += piece.room[0]
    return (experts, rows, *pieces[0].room[1:]), parts
