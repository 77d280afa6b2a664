"""One line of a dialect's table: names of the schema, names of the dialect, and the moves between.

Names are written with `*` for every number, as `names.fold` gives them, without the leaf where
`.weight` and `.bias` fare alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.moving.opaque import Repack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.moving.move import Move

LEAVES = ("", ".weight", ".bias")
"""What may follow the name of a line, the same on both sides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. In a target `{mtp}` stands for the number of an MTP layer counted from 0.

    `layers` is `dense` or `moe` where the line holds for such layers only, `part` is `trunk` or `mtp`.
    `tags` are choices of the dialect that must be made, `archs` the schemas that it is for, all if none.
    `copy` says that the sources have another line: this one derives something more from them. A line
    without targets leaves its sources out.
    `padding` allows any number of rows that is a multiple of it.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    moves: tuple[Move, ...] = ()
    layers: str = ""
    part: str = ""
    tags: frozenset[str] = frozenset()
    archs: frozenset[str] = frozenset()
    copy: bool = False
    dtypes: frozenset[str] = frozenset()
    kind: str = ""
    padding: int = 0

    @property
    def packs(self) -> bool:
        """Tell whether it makes bytes of a program's own."""
        return any(isinstance(move, Repack) for move in self.moves)

    def holds(self, arch: str, tags: frozenset[str]) -> bool:
        """Tell whether the line counts for this schema under these choices."""
        return self.tags <= tags and (not self.archs or arch in self.archs)


def line(
    sources: str | Sequence[str],
    targets: str | Sequence[str],
    *moves: Move,
    tags: str = "",
    archs: str = "",
    layers: str = "",
    part: str = "",
    copy: bool = False,
    dtypes: frozenset[str] = frozenset(),
    kind: str = "",
    padding: int = 0,
) -> Line:
    """Write a line short: one name or several on each side, tags and schemas as words."""
    return Line(
        sources=(sources,) if isinstance(sources, str) else tuple(sources),
        targets=(targets,) if isinstance(targets, str) else tuple(targets),
        moves=moves,
        layers=layers,
        part=part,
        tags=frozenset(tags.split()),
        archs=frozenset(archs.split()),
        copy=copy,
        dtypes=dtypes,
        kind=kind,
        padding=padding,
    )


def within(source: str, target: str, lines: Sequence[Line]) -> tuple[Line, ...]:
    """Put a beginning before the names of lines, one for each side."""
    return tuple(
        replace(
            each,
            sources=tuple(source + name for name in each.sources),
            targets=tuple(target + name for name in each.targets),
        )
        for each in lines
    )
