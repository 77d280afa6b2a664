"""Where a rank stands: its number in each kind of parallelism, its layers and its experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from weightlint.plan import Rank
    from weightlint.spread import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One rank as the loader sees it.

    `tp` and `tp_rank` cut matrices; `moe_tp` and `moe_tp_rank` cut each expert. `layers` are the decoder layers of
    its stage. `experts` gives for every logical expert that the rank holds its places in the stack.
    """

    tp: int = 1
    tp_rank: int = 0
    moe_tp: int = 1
    moe_tp_rank: int = 0
    first: bool = True
    last: bool = True
    layers: Collection[int] = range(0)
    experts: Mapping[int, tuple[int, ...]]

    @property
    def local_experts(self) -> int:
        """Number of places for experts."""
        return sum(map(len, self.experts.values()))


def site_of(spread: Spread, rank: Rank, *, pipelined: bool = True) -> Site:
    """Find where a rank of a plan stands; without `pipelined` every stage has all layers."""
    plan = spread.plan
    mine = spread.stages[rank.pp] if pipelined else tuple(range(spread.layers))
    dealt = spread.dealt[spread.position("ep", rank)] if spread.experts else ()
    places: dict[int, tuple[int, ...]] = {}
    for slot, expert in enumerate(dealt):
        places[expert] = (*places.get(expert, ()), slot)
    return Site(
        tp=plan.tp,
        tp_rank=rank.tp,
        moe_tp=spread.degree("etp"),
        moe_tp_rank=spread.position("etp", rank),
        first=rank.pp == 0,
        last=rank.pp == plan.pp - 1,
        layers=_run(mine),
        experts=places,
    )


def _run(layers: tuple[int, ...]) -> Collection[int]:
    """Write layers as a range where they are one."""
    if layers and layers == tuple(range(layers[0], layers[-1] + 1)):
        return range(layers[0], layers[-1] + 1)
    return frozenset(layers)
