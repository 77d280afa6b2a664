"""The slices of the ranks do not make the tensor.

Checks: for each tensor that the union of all ranks' slices is the tensor, and that no element is on two ranks unless copied.
Matters: what is on no rank is not loaded, what is on two is added twice.
Example: a plan file cuts 129280 rows into [0, 64000) and [64000, 128000).
Cure: correct the spans in the plan file, or leave the cut to the loader.
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
    """Tell the cuts whose pieces are not the whole."""
    yield from told(case, RULE)


RULE = Rule(
    code="WL505",
    name="uncovered-slice",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.PLAN, Need.EXPECTED}),
    turn=74,
)
