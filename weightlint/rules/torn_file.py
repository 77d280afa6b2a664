"""A file is shorter or longer than its own header declares.

Checks: header length and the end of the last tensor against the size of the file, in bytes.
Matters: the cut-off tensors cannot be read; safetensors refuses the whole file, and names neither file nor bytes.
Example: model-00007-of-00163.safetensors ends 100 bytes too early; one tensor is cut off.
Cure: download the file again and compare its size with the source.
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
    for fault in case.faults(FaultKind.TORN):
        yield RULE.told(fault, **case.loss(fault))


RULE = Rule(
    code="WL102",
    name="torn-file",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    turn=5,
)
