"""What a rule is: a code, a name, a page that explains it, and a generator of findings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from weightlint.finding import Finding, Level, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from weightlint.case import Case
    from weightlint.index import Fault

HEADINGS = ("Checks", "Matters", "Example", "Cure")
"""The paragraphs of a rule's page, in order, each opened by its word and a colon."""


class Need(StrEnum):
    """What a rule cannot do without."""

    TABLE = "at least one listed tensor"
    HEADERS = "dtypes and shapes"
    CONFIG = "a config"
    EXPECTED = "an expanded schema"
    PLAN = "a plan"
    LOADER = "a loader"
    PREDICTION = "a contract of the loader for this model"
    BYTES = "bytes that were read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One check, made once per rule file as its constant `RULE`.

    `page` is the docstring of the file: a title line, then the four `HEADINGS`. Where a need is
    not met the rule is skipped with the reason, unless it is one that only users who give a plan or a loader
    ask for. `turn` orders the rules of a run, lowest first:
    a rule takes from the case's ledger the symptoms that it explains, so a particular cause must
    speak before a general one.
    """

    code: str
    name: str
    level: Level
    page: str
    check: Callable[[Case], Iterator[Finding]]
    needs: frozenset[Need] = frozenset()
    turn: int = 50
    since: str = "0.1"

    @property
    def title(self) -> str:
        """Return the first line of the page."""
        return self.page.strip().splitlines()[0]

    def finding(
        self,
        message: str,
        *,
        place: Place,
        cure: str,
        count: int = 1,
        unit: str = "tensor",
        expected: str | None = None,
        found: str | None = None,
        level: Level | None = None,
    ) -> Finding:
        """Make a finding of this rule, at the rule's own level unless another is given."""
        return Finding(
            code=self.code,
            rule=self.name,
            level=self.level if level is None else level,
            message=message,
            place=place,
            count=count,
            unit=unit,
            expected=expected,
            found=found,
            cure=cure,
        )

    def told(
        self, fault: Fault, *, tensors: Sequence[str] = (), note: str = "", level: Level | None = None
    ) -> Finding:
        """Turn a fault that reading met into a finding of this rule."""
        return self.finding(
            fault.message + note,
            level=level,
            place=Place(tensors=fault.tensors or tuple(tensors), files=(fault.file,)),
            unit="file",
            expected=fault.expected,
            found=fault.found,
            cure=fault.cure,
        )
