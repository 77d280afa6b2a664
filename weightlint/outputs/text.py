"""Report as text for people: one paragraph per cause, then what was checked and what was not.

A paragraph fits a screen whatever the defect; the JSON form has all of it. Every text is escaped
before it is printed. Colour and the width of the terminal are used only on a terminal.
"""

from __future__ import annotations

import os
import sys
import textwrap
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, TextIO

from weightlint.finding import Level, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.finding import Facts, Finding, Output, Report, Skip

WIDTH = 100
"""Columns where there is no terminal to ask."""

MIN_WIDTH = 40
MAX_PATTERNS = 6
MAX_FILES = 3
MAX_FINDINGS = 10
"""Findings of one rule that are shown."""

MAX_PROSE = 1200
"""Characters of one message, expectation or cure that are shown."""

ALL = "--format json lists all"
BOLD, RED, YELLOW, CYAN, GREEN, DIM = "1", "31", "33", "36", "32", "2"
COLOURS = {Level.ERROR: RED, Level.WARNING: YELLOW, Level.INFO: CYAN}
UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


@dataclass(frozen=True, slots=True)
class Look:
    """How to print: columns, and whether in colour."""

    width: int = WIDTH
    colour: bool = False

    def paint(self, text: str, style: str) -> str:
        """Return a text in a style, or as it is without colour."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.colour else text

    def wrap(self, text: str, *, hang: str = "    ") -> list[str]:
        """Break prose at blanks only, so that names stay whole."""
        return textwrap.wrap(
            printable(text, limit=MAX_PROSE),
            self.width,
            initial_indent="  ",
            subsequent_indent=hang,
            break_long_words=False,
            break_on_hyphens=False,
        )


def write(report: Report, stream: TextIO) -> None:
    """Write a report for people, in colour where the stream is a terminal."""
    look = Look(_width(stream), _colour(stream))
    stream.writelines(f"{line}\n" for line in lines(report, look))


def lines(report: Report, look: Look) -> Iterator[str]:
    """Yield the lines of a report."""
    for _, group in groupby(report.findings, key=lambda finding: finding.code):
        findings = [*group]
        for finding in findings[:MAX_FINDINGS]:
            yield from paragraph(finding, look)
            yield ""
        if more := findings[MAX_FINDINGS:]:
            yield f"and {len(more):,} more {more[0].code} {more[0].rule} ({ALL})"
            yield ""
    yield summary(report, look)
    for note in report.notes:
        yield from (line[2:] for line in look.wrap(note, hang="      "))
    yield from _skipped(report.skips, look)


def paragraph(finding: Finding, look: Look) -> Iterator[str]:
    """Yield what one finding says: what, where, expected and found, and last the cure."""
    place = finding.place
    level = look.paint(str(finding.level), COLOURS[finding.level])
    head = look.paint(f"{finding.code} {finding.rule}", BOLD)
    yield f"{head}  {level}  {_counted(finding.count, finding.unit)}"
    yield from look.wrap(finding.message)
    if not _told(place.tensors, finding.message):
        yield from _patterns(place.tensors, look)
    if not _told(place.files, finding.message):
        yield from look.wrap(f"in {_some(place.files, 'more file')}")
    if place.ranks:
        yield from look.wrap(f"on {_some(place.ranks, 'more rank pattern')}")
    if contrast := _contrast(finding):
        yield from look.wrap(contrast)
    first, *rest = look.wrap(f"cure: {finding.cure}")
    yield first.replace("cure:", look.paint("cure:", GREEN), 1)
    yield from rest


def summary(report: Report, look: Look) -> str:
    """Say in one line what was checked and how it ended; nothing checked is never `no findings`."""
    facts = report.facts
    if not report.findings:
        sound = facts.checked and facts.complete
        return f"{_scope(facts)}: {look.paint('no findings', GREEN)}" if sound else _scope(facts)
    levels = (Level.ERROR, Level.WARNING, Level.INFO)
    counts = [
        look.paint(_counted(count, str(level)), COLOURS[level])
        for level in levels
        if (count := report.count(level))
    ]
    return f"{', '.join(counts)}; {_scope(facts)}"


def _scope(facts: Facts) -> str:
    files = f" in {_counted(facts.files, 'file')}" if facts.files else ""
    size = f", {size_of(facts.bytes)}" if facts.bytes else ""
    if not facts.checked:
        found = f"{facts.tensors:,}" if facts.tensors else "no"
        return f"nothing was checked: {found} tensors found{files}{size}"
    if facts.read:
        return f"{facts.checked:,} of {_counted(facts.tensors, 'tensor')} read{files}{size}"
    against = f"against {printable(facts.arch)}{_details(facts)}" if facts.arch else "without a schema"
    tensors = f"{facts.checked:,} of {_counted(facts.tensors, 'tensor')}"
    return f"{tensors} checked {against}{files}{size}"


def _details(facts: Facts) -> str:
    dialect = None if facts.dialect == "hf" else facts.dialect
    plan = " ".join(f"{kind}={_listed(degree)}" for kind, degree in (facts.plan or {}).items())
    named = [printable(text) for text in (facts.quant, dialect, facts.loader, plan) if text]
    return f" ({', '.join(named)})" if named else ""


def _listed(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _skipped(skips: Sequence[Skip], look: Look) -> Iterator[str]:
    codes: dict[str, list[str]] = {}
    for skip in skips:
        codes.setdefault(skip.why, []).append(skip.code)
    for why, skipped in codes.items():
        for line in look.wrap(f"skipped {' '.join(sorted(skipped))}: {why}", hang="      "):
            yield line[2:]


def _patterns(patterns: Sequence[str], look: Look) -> Iterator[str]:
    yield from (f"  {printable(pattern)}" for pattern in patterns[:MAX_PATTERNS])
    if len(patterns) > MAX_PATTERNS:
        more = _counted(len(patterns) - MAX_PATTERNS, "more pattern")
        yield look.paint(f"  and {more} ({ALL})", DIM)


def _told(names: Sequence[str], message: str) -> bool:
    """Tell whether a message names all of these as whole words, so that a list would repeat it."""
    words = {word.rstrip(",:;") for word in message.split()}
    return words.issuperset(names)


def _contrast(finding: Finding) -> str:
    sides = (("expected", finding.expected), ("found", finding.found))
    return "; ".join(f"{word} {text}" for word, text in sides if text)


def _some(items: Sequence[str], unit: str) -> str:
    shown = [printable(item) for item in items[:MAX_FILES]]
    more = len(items) - len(shown)
    return ", ".join(shown) + (f" and {_counted(more, unit)}" if more else "")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size_of(count: int) -> str:
    """Return a number of bytes in decimal units, as disks and hubs count them."""
    for scale, unit in UNITS:
        # From 999.95 of the smaller unit on, that one would print as 1000.0.
        if count >= scale * 0.99995:
            return f"{count / scale:.1f} {unit}"
    return _counted(count, "byte")


def _colour(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    # Forced is what people see, never a report that goes to a file.
    if stream is sys.stdout and os.environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _width(stream: TextIO) -> int:
    if not stream.isatty():
        return WIDTH
    try:
        return max(MIN_WIDTH, os.get_terminal_size(stream.fileno()).columns or WIDTH)
    except OSError:
        return WIDTH


OUTPUT: Output = write
