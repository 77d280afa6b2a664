"""What does not add up between the ranks of one model: plain data, no verdict."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weightlint.expected import Slot
    from weightlint.sharding import Rank


class Slip(StrEnum):
    """What may be wrong between ranks.

    A tensor that some ranks lack; a shape or dtype that differs; slices that do not make the whole;
    slices of another number of ranks; files of another run.
    """

    LACKS = "lacks"
    SHAPE = "shape"
    DTYPE = "dtype"
    SUM = "sum"
    WORLD = "world"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapse:
    """One thing that is wrong with these ranks, and the tensors in which it shows.

    `expected` and `found` are what a rank should hold and does, in words: a shape, a dtype, a number of
    ranks; those of the first of the tensors.
    """

    slip: Slip
    ranks: tuple[Rank, ...]
    names: tuple[str, ...] = ()
    slot: Slot | None = None
    expected: str = ""
    found: str = ""


def merged(lapses: Iterable[Lapse]) -> list[Lapse]:
    """Make one of those lapses that have one cause: the same slip of the same ranks."""
    groups: dict[tuple[Slip, tuple[Rank, ...]], list[Lapse]] = defaultdict(list)
    for lapse in lapses:
        groups[lapse.slip, lapse.ranks].append(lapse)
    return [
        replace(first, names=tuple(name for lapse in (first, *more) for name in lapse.names))
        for first, *more in groups.values()
    ]
