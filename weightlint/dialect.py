"""What a dialect is: another spelling and layout of the same model, as a table that is read both ways.

How a table is applied is written in `weightlint.moving.rewriting`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from weightlint.errors import DialectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from weightlint.expected import Axis, Expected, Ignore, Slot
    from weightlint.join import Extra
    from weightlint.moving.line import Line

Marks = tuple[str, ...]
"""Ways of telling by folded names. Each is some words, parts of names, that are all to be found; a word
with `!` before it must be in none."""


@dataclass(frozen=True, slots=True)
class Option:
    """One way of writing that a dialect has beside others; `title` says which."""

    tag: str
    marks: Marks = ()
    title: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """The choices made: one tag of every choice, and the numbers of placeholders that only it has."""

    tags: frozenset[str] = frozenset()
    spread: Mapping[str, Axis] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One spelling, as lines.

    `title` says whose spelling it is, `cure` how to come back to Hugging Face names, `schemas` for which
    architectures it exists. Without `marks` it is never guessed. `home` are the file names among which
    it is no surprise. `choices` are its ways of writing, the usual one first. `rest` spells what no line
    takes. `lacks_mtp` says why it has no names for MTP layers, `leaves_mtp`, by schema, why its usual writer
    leaves them out though it has. `stores_tied` tells that a tied head is written all the same. `scale` spells a
    block scale after its weight; without it scales are taken in. `dtypes` gives the types of a target.
    `counted` names, for a placeholder of its own, the folded names whose last number it is.
    """

    name: str
    title: str
    cure: str
    lines: tuple[Line, ...] = ()
    schemas: frozenset[str] = frozenset()
    marks: Marks = ()
    home: tuple[str, ...] = ()
    choices: tuple[tuple[Option, ...], ...] = ()
    rest: Callable[[str], str] | None = None
    lacks_mtp: str = ""
    leaves_mtp: Mapping[str, str] = field(default_factory=dict)
    stores_tied: bool = False
    scale: Callable[[str], str] | None = None
    dtypes: Callable[[Slot], frozenset[str]] | None = None
    counted: Mapping[str, str] = field(default_factory=dict)
    ignores: tuple[Ignore, ...] = ()

    def told(self, templates: Sequence[str]) -> bool:
        """Tell whether folded names look like this dialect's."""
        return _shown(self.marks, templates)

    def at_home(self, files: Iterable[str]) -> bool:
        """Tell whether files of these names are expected to be written in it."""
        names = [file.rpartition("/")[2] for file in files]
        return bool(names) and all(any(fnmatchcase(name, form) for form in self.home) for name in names)

    def variant(self, extra: Extra) -> Variant:
        """Read the choices off families of names."""
        templates = list(extra)
        tags = (next((o.tag for o in way if _shown(o.marks, templates)), way[0].tag) for way in self.choices)
        return Variant(frozenset(tags), {axis: _count(extra, mark) for axis, mark in self.counted.items()})

    def chosen(self, words: Iterable[str] = ()) -> Variant:
        """Return the usual variant with these tags in place of the usual ones.

        Raises:
            DialectError: no choice has such a tag.
        """
        given = set(words)
        tags = {next((o.tag for o in way if o.tag in given), way[0].tag) for way in self.choices}
        if given - tags:
            known = ", ".join(option.tag for way in self.choices for option in way) or "none"
            message = f"dialect {self.name} has no variant {', '.join(sorted(given - tags))}; it has: {known}"
            raise DialectError(message)
        return Variant(frozenset(tags), dict.fromkeys(self.counted, (0,)))

    def rewrite(self, expected: Expected, variant: Variant | None = None) -> Expected:
        """Return the expectation as this dialect writes it, with the recipes.

        Raises:
            DialectError: it has no way of writing this model.
        """
        if not self.lines:
            return expected
        from weightlint.moving.rewriting import rewrite

        return rewrite(self, expected, variant or self.chosen())

    def restore(self, expected: Expected) -> Expected:
        """Return the schema's slots that a rewritten expectation is made of.

        Raises:
            MoveError: a slot has a shape that the dialect cannot have given it.
        """
        from weightlint.moving.rewriting import restore

        return restore(expected)


def _shown(marks: Marks, templates: Sequence[str]) -> bool:
    def found(word: str) -> bool:
        return any(word.lstrip("!") in template for template in templates)

    return any(all(found(word) is not word.startswith("!") for word in way.split()) for way in marks)


def _count(extra: Extra, mark: str) -> Axis:
    """Return the numbers from 0 to the largest that ends a family's coordinates."""
    ends = (coord[-1] for template, rows in extra.items() if mark in template for coord in rows)
    return tuple(range(1 + max(ends, default=0)))
