"""What a kind of parallelism is: how it spreads one slot over its ranks.

The kinds themselves are in the drawer `plans`; `weightlint.spread` asks each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.drawer import Drawer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weightlint.cut import Cut
    from weightlint.expected import Slot
    from weightlint.spread import Spread

Group = str
"""Ranks that share out one thing: `tp`, `pp`, `ep`, and `etp` for the slices of single experts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one group of ranks makes of one slot.

    With a `cut`, each holds a slice. `owners` are the positions in the group that hold a tensor at all, by
    the number in its name that `at` points to; `fixed` are those of a tensor that no number decides on;
    without either, all hold it.
    """

    group: Group
    cut: Cut | None = None
    at: int | None = None
    owners: Mapping[int, frozenset[int]] = field(default_factory=dict)
    fixed: frozenset[int] | None = None

    def holders(self, coord: tuple[int, ...]) -> frozenset[int] | None:
        """Return the positions that hold the tensor of a coordinate, None for all."""
        return self.fixed if self.at is None else self.owners.get(coord[self.at], frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of parallelism; `share` is None where it does not touch a slot."""

    name: str
    title: str
    share: Callable[[Slot, Spread], Share | None]


KINDS: Drawer[Kind] = Drawer("plans", "PLAN")
