"""The pipeline stages do not hold each layer once.

Checks: the layers of all stages, embedding and head against the model's, given numbers of layers against num_hidden_layers.
Matters: a layer on no stage is left out without a word, or the framework refuses the split.
Example: 10 layers on 3 ranks of mlx-lm 0.31: layers 6 and 7 are on none; --pp-layers 22,20,18 for 61 layers.
Cure: let the numbers add up to the layers of the model, MTP layers aside; or leave the split to the loader.
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
    """Tell what is wrong with the stages."""
    yield from told(case, RULE)


RULE = Rule(
    code="WL504",
    name="pipeline-gap",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.PLAN, Need.EXPECTED}),
    turn=73,
)
