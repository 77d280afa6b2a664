"""A file is not what its name says.

Checks: the first bytes of every tensor and index file against its format.
Matters: a git-LFS pointer or an error page saved as a shard fails after minutes of loading with "header too large".
Example: model-00002-of-00163.safetensors holds 135 bytes that start with "version https://git-lfs".
Cure: run `git lfs pull`, or download the file again; the message says what the bytes are.
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
    for fault in case.faults(FaultKind.FOREIGN, FaultKind.UNREADABLE):
        yield RULE.told(fault, **case.loss(fault))


RULE = Rule(
    code="WL101",
    name="not-a-tensor-file",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    turn=5,
)
