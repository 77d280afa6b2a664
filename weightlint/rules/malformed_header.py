"""A header or index breaks the rules of its format.

Checks: keys, types, shapes, limits, offsets without overlap or hole, of safetensors and GGUF; JSON of index and config.
Matters: readers disagree on such files: the safetensors library keeps the last of two equal keys without a word.
Example: two tensors share the same bytes, so one of them holds the other's values.
Cure: write the file again with the library of its format, or download it again.
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
    """Tell the faults that reading met; oddities that the library accepts warn."""
    for fault in case.faults(FaultKind.MALFORMED, FaultKind.ODD):
        yield RULE.told(fault, level=Level.WARNING if fault.kind is FaultKind.ODD else None)


RULE = Rule(
    code="WL107",
    name="malformed-header",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    turn=5,
)
