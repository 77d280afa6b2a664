"""Where a rank stands: its number in each kind of parallelism, its layers and its experts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from weightlint.loading.family import Family
    from weightlint.loading.model import Model
    from weightlint.plan import Rank
    from weightlint.spread import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One rank as the loader sees it.

    `tp` and `tp_rank` cut matrices; `moe_tp` and `moe_tp_rank` cut each expert. `layers` are the decoder layers of
    its stage. `experts` gives for every logical expert that the rank holds its places in the stack; `shared` of them
    are the shared expert's.
    """

    tp: int = 1
    tp_rank: int = 0
    moe_tp: int = 1
    moe_tp_rank: int = 0
    first: bool = True
    last: bool = True
    layers: Collection[int] = range(0)
    experts: Mapping[int, tuple[int, ...]]
    shared: int = 0

    @property
    def local_experts(self) -> int:
        """Number of places for experts."""
        return len({place for places in self.experts.values() for place in places})


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


def placed(site: Site, model: Model, family: Family) -> Site:
    """Return what a family makes of a rank's place: all layers where it knows no stages, experts by rank of tp."""
    if not family.pipelined:
        site = replace(site, first=True, last=True, layers=range(model.layers))
    return _dealt(site, model.experts) if family.experts.over == "tp" else site


def seated(site: Site, model: Model, family: Family) -> Site:
    """Add the shared expert's places, where it is loaded into the stack of the routed ones; its tensors fill them all."""
    shared, count = family.experts.shared, model.experts
    if shared is None or any(model.sizes.get(field) != size for field, size in shared.where.items()):
        return site
    if site.tp > site.moe_tp and not shared.with_ep:
        return site
    copies = site.tp if shared.per_rank else 1
    if family.experts.over == "tp":
        site = _dealt(site, count + copies)
    else:
        more = {count + n: (site.local_experts + n,) for n in range(copies)}
        site = replace(site, experts={**site.experts, **more})
    every = tuple(place for expert, (place,) in site.experts.items() if expert >= count)
    return replace(site, experts={**site.experts, count: every}, shared=copies)


def _dealt(site: Site, experts: int) -> Site:
    """Deal experts to the ranks of tp in a row."""
    share = experts // site.tp
    mine = range(site.tp_rank * share, (site.tp_rank + 1) * share)
    return replace(site, moe_tp=1, moe_tp_rank=0, experts={expert: (n,) for n, expert in enumerate(mine)})
