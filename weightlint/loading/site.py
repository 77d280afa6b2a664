"""Where a rank stands: its number in each kind of parallelism, its layers and its experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    layers: range = range(0)
    experts: Mapping[int, tuple[int, ...]]

    @property
    def local_experts(self) -> int:
        """Number of places for experts."""
        return sum(map(len, self.experts.values()))
