"""An index names a file outside the checkpoint.

Checks: every file name of an index, of a DCP table and in a torch archive: relative, no `..`, no drive, no address, no NUL.
Matters: loaders join the name to the folder and open what comes out; a hostile index reads any file.
Example: weight_map places lm_head.weight in ../../../etc/hostname.
Cure: do not trust the checkpoint; a shard beside the index is named without a path.
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
    """Tell the names that were refused."""
    yield from map(RULE.told, case.faults(FaultKind.UNSAFE))


RULE = Rule(
    code="WL108",
    name="unsafe-path",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    turn=5,
)
