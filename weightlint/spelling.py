"""Is the whole checkpoint written in other names? Find the prefix or dialect in which it fits.

The expectation is rewritten into the file's spelling, never the user's names, so that every later
message shows names that the user can find.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.errors import DialectError
from weightlint.join import Joined, join
from weightlint.quantising import quantised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from weightlint.dialect import Dialect, Variant
    from weightlint.expected import Expected
    from weightlint.index import Index
    from weightlint.scheme import Scheme

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

    def unspell(self, name: str) -> str:
        """Write a name of the files as the schema does."""
        return Prefix(self.new, self.old).spell(name)


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the files write the names: in a dialect and a variant of it, with prefixes changed.

    `asked` is the expectation in this spelling before its layouts were chosen. `native` tells that the
    schema itself is written in the dialect: a GGUF schema. `late` is the scheme by which the respelt model was quantised.
    """

    joined: Joined
    asked: Expected
    dialect: Dialect
    variant: Variant | None = None
    prefixes: tuple[Prefix, ...] = ()
    native: bool = False
    late: Scheme | None = None

    def write(self, expected: Expected) -> Expected:
        """Write an expectation in this spelling.

        Raises:
            DialectError: the dialect has no way of writing it.
        """
        if not self.native:
            expected = written(expected, self.dialect, self.variant, self.late)
        for prefix in self.prefixes:
            expected = expected.rename(prefix.spell)
        return expected

    def unspell(self, name: str) -> str:
        """Return a name without the changes of prefix."""
        for prefix in reversed(self.prefixes):
            name = prefix.unspell(name)
        return name


def spelling_of(
    index: Index,
    expected: Expected,
    dialects: Mapping[str, Dialect],
    wanted: str | None = None,
    *,
    home: AbstractSet[str] = frozenset(),
    late: Scheme | None = None,
) -> Spelling:
    """Join in the spelling of the files: the wanted one, Hugging Face's, or the one that the names tell.

    A dialect costs a join only where names that nothing asked for look like its own. Those that such
    files have as a rule (`home`) are tried first, whatever is met without them. What is respelt is then quantised by
    the `late` scheme, if there is one.

    Raises:
        DialectError: the wanted dialect has no way of writing this model.
    """
    best = None if wanted else _at_home(index, expected, [dialects[name] for name in sorted(home)], late)
    if best is not None and not best.joined.unmet:
        return best
    told = _told(index, expected, dialects, wanted, late)
    return told if best is None or _better(told.joined, best.joined) else best


def written(expected: Expected, dialect: Dialect, variant: Variant | None, late: Scheme | None) -> Expected:
    """Return an expectation in a dialect, quantised by a scheme that comes after.

    Raises:
        DialectError: the dialect has no way of writing it.
    """
    respelt = dialect.rewrite(expected, variant)
    return quantised(respelt, late) if late is not None else respelt


def _told(
    index: Index, expected: Expected, dialects: Mapping[str, Dialect], wanted: str | None, late: Scheme | None
) -> Spelling:
    usual = dialects[wanted or "hf"]
    asked = written(expected, usual, None, late)
    plain = best = Spelling(join(index, asked), asked, usual, late=late)
    if not best.joined.extra:
        return best
    templates = list(index.families if wanted else best.joined.extra)
    for dialect in (usual, *dialects.values()):
        if dialect.told(templates) or (wanted and dialect.name in {wanted, "hf"}):
            tried = _written(index, expected, dialect, late)
            best = tried if tried and _better(tried.joined, best.joined) else best
    return _prefixed(index, best) if best is plain else best


def _written(index: Index, expected: Expected, dialect: Dialect, late: Scheme | None) -> Spelling | None:
    """Join in the variant of a dialect that names tell; None where it cannot write the model."""
    variant = dialect.variant(index.families)
    try:
        rewritten = written(expected, dialect, variant, late)
    except DialectError:
        return None
    return _prefixed(index, Spelling(join(index, rewritten), rewritten, dialect, variant, late=late))


def _at_home(
    index: Index, expected: Expected, dialects: Sequence[Dialect], late: Scheme | None
) -> Spelling | None:
    """Return the one of these dialects that finds most tensors, the first that is complete."""
    best: Spelling | None = None
    for dialect in dialects:
        tried = _written(index, expected, dialect, late)
        if tried and (best is None or _better(tried.joined, best.joined)):
            best = tried
        if best and not best.joined.unmet:
            break
    return best


def _prefixed(index: Index, spelling: Spelling) -> Spelling:
    """Change prefixes, one over the other, where most is unmet and for as long as it finds more."""
    if not _lost(spelling.joined):
        return spelling
    for _ in range(TRIES):
        found = _with_prefix(index, spelling)
        if found is None:
            break
        spelling = found
    return spelling


def _lost(joined: Joined) -> bool:
    return bool(joined.extra) and 2 * joined.unmet > joined.expected.count


def _better(tried: Joined, best: Joined) -> bool:
    return _fit(tried) > _fit(best)


def _fit(joined: Joined) -> int:
    """Count the rows that have a slot, those of another shape or type half."""
    misfits = sum(len(rows) for kinds in joined.misfits.values() for rows in kinds.values())
    return 2 * sum(map(len, joined.matched.values())) - misfits


def _with_prefix(index: Index, spelling: Spelling) -> Spelling | None:
    votes: Counter[Prefix] = Counter()
    for slot, coords in spelling.joined.missing.items():
        old = tuple(slot.template.split("."))
        for template, rows in spelling.joined.extra.items():
            if prefix := between(old, tuple(template.split("."))):
                votes[prefix] += min(len(rows), len(coords))
    for prefix, _ in votes.most_common(TRIES):
        asked = spelling.asked.rename(prefix.spell)
        tried = join(index, asked)
        if _better(tried, spelling.joined):
            return replace(spelling, joined=tried, asked=asked, prefixes=(*spelling.prefixes, prefix))
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
