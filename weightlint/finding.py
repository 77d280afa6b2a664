"""What a check says: levels, places, findings, skips and the report that holds them.

Plain data without behaviour of its own; knows nothing of checkpoints, rules or output formats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from weightlint.profile import Profile

MAX_SHOWN = 400
"""Characters of one text from a file that are ever shown; the rest is counted."""

_BIDI = frozenset(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)


class Level(IntEnum):
    """How bad a finding is, in rising order."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a finding is: exact brace patterns of tensors, files, ranks."""

    tensors: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    ranks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One defect with one cause. `count` is the number of tensors (or files) it concerns."""

    code: str
    rule: str
    level: Level
    message: str
    place: Place = field(default_factory=Place)
    count: int = 1
    unit: str = "tensor"
    expected: str | None = None
    found: str | None = None
    cure: str


@dataclass(frozen=True, slots=True)
class Skip:
    """A rule that could not run, and why."""

    code: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was looked at. `bytes` is the size of the tensor files, `seconds` wall time.

    `read` tells that it was the bytes that were looked at, not the headers; `complete` that all of them were.
    """

    target: str
    arch: str | None = None
    dialect: str | None = None
    quant: str | None = None
    loader: str | None = None
    plan: dict[str, object] | None = None
    tensors: int = 0
    checked: int = 0
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    read: bool = False
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of one run: findings sorted by (code, place), skips and facts.

    `notes` say what else is worth knowing of it; `profile` is how large the numbers are, where bytes were read.
    """

    findings: tuple[Finding, ...]
    skips: tuple[Skip, ...]
    facts: Facts
    version: str
    notes: tuple[str, ...] = ()
    profile: Profile | None = None

    def count(self, level: Level) -> int:
        """Return the number of findings of exactly this level."""
        return sum(finding.level is level for finding in self.findings)

    def exit_code(self, fail_on: Level = Level.ERROR) -> int:
        """Return 0 clean, 1 findings at or above `fail_on`, 2 a rule crashed, 3 nothing or not all was checked."""
        if any(finding.code == "WL000" for finding in self.findings):
            return 2
        if any(finding.level >= fail_on for finding in self.findings):
            return 1
        return 0 if self.facts.checked and self.facts.complete else 3


class Output(Protocol):
    """One output format: write a whole report to a text stream."""

    def __call__(self, report: Report, stream: TextIO, /) -> None:
        """Write the report."""


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: `1 tensor`, `14,848 tensors`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def printable(text: str, *, limit: int = MAX_SHOWN) -> str:
    """Escape what could forge or hide output: C0, C1, bidi marks, surrogates; cut what is long."""
    if text.isascii() and text.isprintable() and len(text) <= limit:
        return text
    cut = text[:limit]
    shown = "".join(_escaped(char) for char in cut)
    return shown if len(cut) == len(text) else f"{shown}... ({len(text):,} characters)"


def _escaped(char: str) -> str:
    if char.isprintable() and char not in _BIDI:
        return char
    return char.encode("unicode_escape").decode("ascii")
