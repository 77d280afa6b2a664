"""The width that a rank gets breaks a block or group of the quantisation.

Checks: widths of matrices and experts per rank against the blocks of FP8 and the groups of GPTQ and AWQ.
Matters: a block has one scale: a rank that holds half of one cannot read it; vLLM and SGLang refuse such a plan.
Example: 18432 / 32 = 576 is no multiple of 128: DeepSeek-V3 in FP8 fits tp=16 and not tp=32.
Cure: take a smaller tp, more pipeline stages, or expert parallelism where it is the experts.
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
    """Tell the widths that are no whole number of blocks."""
    yield from told(case, RULE)


RULE = Rule(
    code="WL502",
    name="indivisible-block",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.PLAN, Need.EXPECTED}),
    turn=71,
)
