"""Where a rank stands: its number in each kind of parallelism, its layers and its experts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.loading.family import Family
    from weightlint.loading.model import Model


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
    layers: range = range(0)
    experts: Mapping[int, tuple[int, ...]]
    shared: int = 0

    @property
    def local_experts(self) -> int:
        """Number of places for experts."""
        return sum(map(len, self.experts.values()))


def seated(site: Site, model: Model, family: Family) -> Site:
    """Return the place that a family's modules make of a rank: all layers where it knows no stages, and the shared expert's."""
    if not family.pipelined:
        site = replace(site, first=True, last=True, layers=range(model.layers))
    shared = family.experts.shared
    if shared is None or any(model.sizes.get(field) != size for field, size in shared.where.items()):
        return site
    if site.tp > site.moe_tp and not shared.with_ep:
        return site
    copies = site.tp if shared.per_rank else 1
    behind = {model.experts + n: (site.local_experts + n,) for n in range(copies)}
    return replace(site, experts={**site.experts, **behind}, shared=copies)
