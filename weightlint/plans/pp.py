"""Pipeline parallelism: whole layers dealt out to stages; embedding, last norm and head on the first or last.

Where the tensors outside the layers and the MTP layers are is the loader's rule, unless the plan says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.kind import Kind, Share

if TYPE_CHECKING:
    from weightlint.expected import Slot
    from weightlint.spread import Spread


def share(slot: Slot, spread: Spread) -> Share | None:
    """Give each layer to its stages."""
    if spread.is_layered(slot):
        return Share(group="pp", at=0, owners=spread.layer_owners)
    if spread.degree("pp") == 1 and spread.place(slot) != "none":
        return None
    return Share(group="pp", fixed=spread.outer(slot))


PLAN = Kind(name="pp", title="pipeline parallelism", share=share)
