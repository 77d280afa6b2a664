"""Which modules an entry of a quantisation table names: by name, by wildcard, by regular expression.

Frameworks spell their lists in different ways; each way is one class here. A test of names is run once for each family where
numbers cannot matter to it, so that 100,000 experts cost as much as one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING, Protocol

from weightlint.names import Coord, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from weightlint.expected import Slot


class Modules(Protocol):
    """Some modules of a model."""

    def of(self, slot: Slot) -> Callable[[Coord], bool] | None:
        """Return a test for the coordinates of a weight that are among them, None if it has none at all."""


class Listed:
    """Modules by name, as transformers reads `modules_to_not_convert`.

    An entry names a module, one above it, or the last segments of it (transformers' quantizers/quantizers_utils.py
    `should_convert_module`). `*` stands for any number. With `whole` it names that module only.
    """

    def __init__(self, entries: Iterable[str], *, whole: bool = False) -> None:
        self.whole = whole
        self.families: dict[tuple[str, ...], set[Coord]] = defaultdict(set)
        self.starred: set[tuple[str, ...]] = set()
        for entry in entries:
            name = entry.removesuffix(".weight")
            if "*" in name.split("."):
                self.starred.add(tuple(fold(name.replace("*", "0"))[0].split(".")))
                continue
            template, coord = fold(name)
            self.families[tuple(template.split("."))].add(coord)

    def of(self, slot: Slot) -> Callable[[Coord], bool] | None:
        """Return a test for the coordinates that are listed."""
        segments = tuple(slot.template.removesuffix(".weight").split("."))
        if any(segments[: len(family)] == family for family in self.starred):
            return lambda coord: True  # noqa: ARG005 -- whatever its numbers
        heads: list[set[Coord]] = []
        for family, coords in self.families.items():
            if self.whole and segments != family:
                continue
            if segments[: len(family)] == family:
                heads.append(coords)
            elif () in coords and segments[-len(family) :] == family:
                return lambda coord: True  # noqa: ARG005 -- the whole family is listed
        widths = [(coords, len(next(iter(coords)))) for coords in heads]
        if not widths:
            return None
        return lambda coord: any(coord[:width] in coords for coords, width in widths)


@dataclass(frozen=True, slots=True)
class Matching:
    """Modules whose whole name a test accepts; `numbers` tells that the numbers in a name may matter.

    `start` is what such a name begins with.
    """

    test: Callable[[str], bool]
    numbers: bool = True
    start: str = ""

    def of(self, slot: Slot) -> Callable[[Coord], bool] | None:
        """Return a test for the coordinates whose module is accepted."""
        if self.start and not _may_begin(slot.template, self.start):
            return None
        if not self.numbers or not slot.axes:
            first = next(slot.coords())
            return (lambda coord: True) if self.test(module(slot.name(first))) else None  # noqa: ARG005
        held = {coord for coord in slot.coords() if self.test(module(slot.name(coord)))}
        return held.__contains__ if held else None


def _may_begin(template: str, start: str) -> bool:
    """Tell whether a name of a family may begin with a text."""
    *segments, last = start.split(".")
    own = template.split(".")
    if len(own) <= len(segments):
        return False
    same = all(mine == "*" if it.isdigit() else mine == it for mine, it in zip(own, segments, strict=False))
    return same and (own[len(segments)] == "*" or own[len(segments)].startswith(last))


@dataclass(frozen=True, slots=True)
class OfKind:
    """Modules whose weights are of some kinds, as a class of modules names them."""

    kinds: frozenset[str]

    def of(self, slot: Slot) -> Callable[[Coord], bool] | None:
        """Return a test that accepts all or none."""
        return (lambda coord: True) if slot.kind in self.kinds else None  # noqa: ARG005


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Modules that one of several lists names."""

    lists: tuple[Modules, ...]

    def of(self, slot: Slot) -> Callable[[Coord], bool] | None:
        """Return a test for the coordinates that are on one of the lists."""
        tests = [test for each in self.lists if (test := each.of(slot)) is not None]
        if len(tests) < 2:
            return tests[0] if tests else None
        return lambda coord: any(test(coord) for test in tests)


EVERY = Matching(lambda _: True, numbers=False)
NONE = AnyOf(())


def module(weight: str) -> str:
    """Return the name of the module that a weight belongs to."""
    return weight.removesuffix(".weight")


def regexes(patterns: Iterable[str], *, whole: bool = False) -> Modules:
    """Return the modules whose names begin with one of these expressions, or are matched as a whole.

    An expression that is none matches nothing, as it would stop the framework that reads it: the rules on settings say so.
    """
    return AnyOf(tuple(found for pattern in patterns if (found := _regex(pattern, whole=whole)) is not None))


_RUNAWAY = re.compile(r"\([^()]*[+*{|][^()]*\)\s*[+*{]")
"""A repetition of what repeats or branches: such an expression can take longer than anybody waits."""

MAX_LENGTH = 2_000
"""Letters of an expression that is read."""


def _regex(pattern: str, *, whole: bool) -> Modules | None:
    if len(pattern) > MAX_LENGTH or _RUNAWAY.search(pattern):
        return None
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return None
    match = compiled.fullmatch if whole else compiled.match
    return Matching(lambda name: match(name) is not None, numbers=_knows_numbers(pattern))


def _knows_numbers(pattern: str) -> bool:
    """Tell whether an expression could tell two names apart that differ in numbers only."""
    plain = pattern.replace(r"\.", "").replace(".*", "").replace(".+", "")
    return bool(re.search(r"[\d\\\[.^|?]", plain.removeprefix("^").removesuffix("$").replace("|", "")))


def wildcards(patterns: Iterable[str]) -> Modules:
    """Return the modules whose whole names fit one of these shell patterns (fnmatch)."""
    return AnyOf(
        tuple(
            Matching(_matches(translate(it)), numbers=_has_numbers(it), start=re.split(r"[*?\[]", it)[0])
            for it in patterns
        )
    )


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda name: compiled.match(name) is not None


def _has_numbers(pattern: str) -> bool:
    return any(letter.isdigit() or letter in "?[" for letter in pattern)


def containing(texts: Iterable[str]) -> Modules:
    """Return the modules in whose names one of these texts stands, as AutoAWQ reads its list."""
    return AnyOf(
        tuple(Matching(lambda name, text=text: text in name, numbers=_has_numbers(text)) for text in texts)  # type: ignore[misc]
    )
