"""Heads, widths or the vocabulary do not come out even over the tensor parallel ranks.

Checks: attention heads, kv heads, widths of matrices and rows of the vocabulary against tp, by the rules of the loader.
Matters: every framework stops at such a plan, most of them after minutes, some in the first forward pass.
Example: 52 attention heads and tp=8: vLLM wants the number of heads divisible by the tensor parallel size.
Cure: take a degree that divides them; the finding lists those that hold.
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
    """Tell the dimensions that tp does not divide."""
    yield from told(case, RULE)


RULE = Rule(
    code="WL501",
    name="indivisible-heads",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.PLAN, Need.EXPECTED}),
    turn=70,
)
