"""All limits that a plan breaks, in the order of their rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.limits import blocks, experts, heads, slices, stages

if TYPE_CHECKING:
    from weightlint.limits.refusal import Refusal
    from weightlint.spread import Spread


def gather(spread: Spread) -> tuple[Refusal, ...]:
    """Return what a plan breaks on; an uneven placement of experts leaves their widths unjudged."""
    placed = tuple(experts.refusals(spread))
    return (
        *heads.refusals(spread),
        *blocks.refusals(spread),
        *placed,
        *stages.refusals(spread),
        *slices.refusals(spread),
    )
