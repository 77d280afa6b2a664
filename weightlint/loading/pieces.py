"""Pieces of parameters, and how they are put together: one above the other, or stacked by expert."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from weightlint.expr import ceil_div
from weightlint.loading.param import Part

if TYPE_CHECKING:
    from weightlint.dtype import Shape
    from weightlint.expected import Slot
    from weightlint.loading.copying import Copy, Cutting
    from weightlint.loading.family import Fuse


class Piece(NamedTuple):
    """What one slot gives to one parameter of a rank, the same for all layers.

    `room` is the rank's part, row-major, of a tensor of `whole_rows` rows. For scales of blocks `weight_rows` are the rows
    of the weight below and `block_rows` those under one scale.
    """

    part: str
    slot: Slot
    room: Shape
    cutting: Cutting
    copy: Copy
    fuse: Fuse | None = None
    is_expert: bool = False
    whole_rows: int = 0
    weight_rows: int = 0
    block_rows: int = 0


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
        in_rows = piece.fuse is not None and not piece.fuse.blocks
        block = 1 if in_rows else piece.block_rows or 1
        offset = (ceil_div(rows, block), *(0,) * (len(piece.room) - 1))
        room = (piece.weight_rows, *piece.room[1:]) if in_rows and piece.weight_rows else piece.room
        parts[name] = Part(offset, room, piece.cutting, piece.whole_rows)
        rows += piece.weight_rows or piece.room[0]
    last = pieces[-1]
    return (ceil_div(rows, last.block_rows or 1), *last.room[1:]), parts


def apart(piece: Piece, parts: tuple[str, ...]) -> list[Piece]:
    """Take a piece for a tensor that holds equal parts apart."""
    rows, *rest = piece.room
    ways = len(parts)
    return [
        piece._replace(part=part, room=(rows // ways, *rest), whole_rows=piece.whole_rows // ways)
        for part in parts
    ]


def stacked(pieces: list[Piece], experts: int) -> tuple[Shape, dict[str, Part]]:
    """Stack the projections of the experts that a rank holds, gate above up."""
    parts: dict[str, Part] = {}
    rows = 0
    for piece in pieces:
        parts[piece.part] = Part((rows, *(0,) * (len(piece.room) - 1)), piece.room, piece.cutting)
        rows += piece.room[0]
    return (experts, rows, *pieces[0].room[1:]), parts
