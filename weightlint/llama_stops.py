"""Where a release of llama.cpp stops at the tensors of a finding, in its own words: it names the first fault only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint import llama
from weightlint.expected import Presence
from weightlint.names import expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.case import Case
    from weightlint.finding import Finding

EARLIER = ("WL201", "WL203", "WL301")
"""Rules of faults that llama.cpp meets before it counts the tensors."""


def with_words(case: Case, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the findings, each with the sentence with which the chosen release stops, where one is known."""
    words = llama.words(llama.release_of(case.loader))
    counts = not any(finding.code in EARLIER for finding in findings)
    for finding in findings:
        said = _said(case, finding, words, counts=counts) if case.spelling else None
        yield replace(finding, message=f"{finding.message}; {case.loader} stops: {said}") if said else finding


def _said(case: Case, finding: Finding, words: dict[str, str], *, counts: bool) -> str | None:
    names = [name for pattern in finding.place.tensors[:1] for name in expand(pattern)]
    match finding.code:
        case "WL201" if names and names[0] in _asked(case):
            return words["missing"].format(name=names[0])
        case "WL202" if counts:
            total = len(case.index)
            return words["count"].format(found=total, known=total - sum(map(len, case.joined.extra.values())))
        case "WL301" if names and names[0] in case.index.rows:
            return _shape(case, names[0], words["shape"])
    return None


def _asked(case: Case) -> frozenset[str]:
    """Return the missing tensors that the release does not do without."""
    missing = case.joined.missing.items()
    return frozenset(
        slot.name(coord) for slot, coords in missing if slot.need is Presence.REQUIRED for coord in coords
    )


def _shape(case: Case, name: str, words: str) -> str | None:
    row = case.index.rows[name]
    slot = next((slot for slot, rows in case.joined.matched.items() if row in rows), None)
    shape = case.index.kind(row).shape
    if slot is None or shape is None:
        return None
    expected, found = (", ".join(map(str, reversed(dims))) for dims in (slot.shape, shape))
    return words.format(name=name, expected=expected, found=found)
