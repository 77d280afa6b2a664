"""Expert parallelism: whole experts dealt out to ranks, in a row, one by one, or as the plan lists them.

Experts of their own names have owners; experts stacked in one tensor are cut along the first dimension.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from weightlint.cut import Cut
from weightlint.kind import Kind, Share

if TYPE_CHECKING:
    from weightlint.expected import Slot
    from weightlint.spread import Spread


def share(slot: Slot, spread: Spread) -> Share | None:
    """Give each expert to the ranks that hold it."""
    ways = spread.degree("ep")
    if ways == 1 or not spread.is_expert(slot):
        return None
    if "expert" in slot.axes:
        owners: dict[int, set[int]] = defaultdict(set)
        for rank, mine in enumerate(spread.dealt):
            for expert in mine:
                owners[expert].add(rank)
        held = {expert: frozenset(ranks) for expert, ranks in owners.items()}
        return Share(group="ep", at=slot.axes.index("expert"), owners=held)
    spans = tuple((mine[0], mine[-1] + 1) if mine else (0, 0) for mine in spread.dealt)
    if any(mine != tuple(range(*span)) for mine, span in zip(spread.dealt, spans, strict=True)):
        # experts that do not lie in a row are picked out of the stack one by one
        return None
    return Share(group="ep", cut=Cut(dim=0, size=slot.shape[0], ways=ways, unit="expert", spans=spans))


PLAN = Kind(name="ep", title="expert parallelism", share=share)
