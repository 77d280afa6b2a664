"""A rule of weightlint crashed.

Checks: that every rule comes to its end.
Matters: a check that did not run must not look like a check that passed; the exit code is 2.
Example: WL204 raises KeyError on a checkpoint that nobody thought of.
Cure: report it with `weightlint snapshot` of the checkpoint; leave the rule out with --ignore until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import Level
from weightlint.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding


def check(case: Case) -> Iterator[Finding]:
    """Say nothing: the run itself reports crashes under this code."""
    del case
    yield from ()


RULE = Rule(
    code="WL000",
    name="internal",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    turn=0,
)
