"""A torch file asks for code.

Checks: every global and opcode of its pickle against the closed set that torch.save needs for tensors.
Matters: torch.load without weights_only runs what the pickle names, on the machine of whoever loads it.
Example: pytorch_model.bin asks for os.system.
Cure: do not load it; take safetensors, or have the file converted by someone you trust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level
from weightlint.index import FaultKind
from weightlint.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """Tell the faults that reading met, with the tensors that are lost by them."""
    for fault in case.faults(FaultKind.UNTRUSTED):
        yield RULE.told(fault, **case.loss(fault))


RULE = Rule(
    code="WL109",
    name="unsafe-pickle",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    turn=5,
)
