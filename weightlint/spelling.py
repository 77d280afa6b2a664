"""Is the whole checkpoint written in other names? Find the prefix or dialect in which it fits.

The expectation is rewritten into the file's spelling, never the user's names, so that every later
message shows names that the user can find.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.join import Joined, join

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from weightlint.dialect import Dialect
    from weightlint.expected import Expected
    from weightlint.index import Index

TRIES = 3
"""Prefix changes that may lie over one another, and candidates looked at each time."""

Segments = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prefix:
    """Names that begin with `old` in the schema begin with `new` in the files."""

    old: Segments
    new: Segments

    def spell(self, pattern: str) -> str:
        """Write a schema's name as the files do."""
        parts = tuple(pattern.split("."))
        if parts[: len(self.old)] != self.old:
            return pattern
        return ".".join((*self.new, *parts[len(self.old) :]))


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the files write the names: in a dialect, with prefixes changed."""

    joined: Joined
    dialect: Dialect | None = None
    prefixes: tuple[Prefix, ...] = ()

    def write(self, expected: Expected) -> Expected:
        """Write an expectation in this spelling."""
        if self.dialect is not None:
            expected = self.dialect.rewrite(expected)
        for prefix in self.prefixes:
            expected = expected.rename(prefix.spell)
        return expected


def settle(
    index: Index, expected: Expected, dialects: Mapping[str, Dialect], *, home: AbstractSet[str] = frozenset()
) -> Spelling:
    """Join, and where most of the expectation is unmet look for the spelling in which it is met.

    Dialects that such files have as a rule (`home`) are tried first, whatever is met without them.
    """
    best = _at_home(index, expected, [dialects[name] for name in sorted(home & dialects.keys())])
    if best is None or best.joined.unmet:
        plain = Spelling(join(index, expected))
        best = plain if best is None or _better(plain.joined, best.joined) else best
    if not _lost(best.joined):
        return best
    best = _prefixed(index, best)
    for dialect in dialects.values():
        if not _lost(best.joined):
            break
        rewritten = dialect.rewrite(expected)
        if rewritten is not expected:
            tried = _prefixed(index, Spelling(join(index, rewritten), dialect))
            best = tried if _better(tried.joined, best.joined) else best
    return best


def _at_home(index: Index, expected: Expected, dialects: Sequence[Dialect]) -> Spelling | None:
    """Return the one of these dialects that finds most tensors, the first that is complete."""
    best: Spelling | None = None
    for dialect in dialects:
        tried = Spelling(join(index, dialect.rewrite(expected)), dialect)
        if best is None or _better(tried.joined, best.joined):
            best = tried
        if not best.joined.unmet:
            break
    return best


def _prefixed(index: Index, spelling: Spelling) -> Spelling:
    """Change prefixes, one over the other, for as long as that finds more tensors."""
    for _ in range(TRIES):
        found = _with_prefix(index, spelling)
        if found is None:
            break
        spelling = found
    return spelling


def _lost(joined: Joined) -> bool:
    return bool(joined.extra) and 2 * joined.unmet > joined.expected.count


def _better(tried: Joined, best: Joined) -> bool:
    return sum(map(len, tried.matched.values())) > sum(map(len, best.matched.values()))


def _with_prefix(index: Index, spelling: Spelling) -> Spelling | None:
    votes: Counter[Prefix] = Counter()
    for slot, coords in spelling.joined.missing.items():
        old = tuple(slot.template.split("."))
        for template, rows in spelling.joined.extra.items():
            if prefix := between(old, tuple(template.split("."))):
                votes[prefix] += min(len(rows), len(coords))
    for prefix, _ in votes.most_common(TRIES):
        tried = join(index, spelling.joined.expected.rename(prefix.spell))
        if _better(tried, spelling.joined):
            return Spelling(tried, spelling.dialect, (*spelling.prefixes, prefix))
    return None


def between(old: Segments, new: Segments) -> Prefix | None:
    """Return the change of prefix that makes one folded name the other, if its ends agree."""
    same = 0
    while same < min(len(old), len(new)) and old[-1 - same] == new[-1 - same]:
        same += 1
    a, b = old[: len(old) - same], new[: len(new) - same]
    if same < min(2, len(old)) or "*" in a or "*" in b or a == b:
        return None
    return Prefix(a, b)
