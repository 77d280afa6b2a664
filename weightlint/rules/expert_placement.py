"""The experts do not go onto the expert parallel ranks.

Checks: the number of experts and copies against ep, whether each is on a rank, and whether ep fills a group of ranks.
Matters: frameworks stop, or an expert is on no rank and its tokens get nothing.
Example: 256 experts and ep=3 in SGLang; a plan that names layers.*.mlp.experts where the model has model.layers.*.
Cure: take an ep that divides the experts, add redundant ones, or list each expert in the plan file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level
from weightlint.plan_finding import told
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """Tell what is wrong with the placement of experts."""
    yield from told(case, RULE)


RULE = Rule(
    code="WL503",
    name="expert-placement",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.PLAN, Need.EXPECTED}),
    turn=72,
)
