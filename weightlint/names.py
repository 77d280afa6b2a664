r"""Tensor names: folding numbers away, and exact brace patterns for sets of names.

Pure text; knows nothing of schemas, shapes or files.

A pattern is a name in which `{a..b}` is an inclusive range and `{a,b,c..d}` a list of whole
numbers. Literal `{`, `}` and `\` in a name are written with a backslash before them.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from difflib import SequenceMatcher
from math import prod
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

Template = NewType("Template", str)
"""A name whose whole-number segments are `*`."""

Coord = tuple[int, ...]
"""The numbers of a name, left to right."""

_SPECIAL = re.compile(r"([\\{}])")
_TOKEN = re.compile(r"\\(.)|\{([0-9.,]+)\}|([^\\{]+)", re.DOTALL)
_MAX_DIGITS = 18
MIN_LIKENESS = 0.75
"""Share of equal characters from which two names are taken for one with a typing error."""

MAX_NUMBERS = 16
"""Numbers of one name that are folded, the leftmost; real names have three. More stay literal."""


def is_number(segment: str) -> bool:
    """Tell whether a segment is a whole number that prints back as it was read (no `007`)."""
    return (
        segment.isdigit()
        and segment.isascii()
        and len(segment) <= _MAX_DIGITS
        and (segment[0] != "0" or len(segment) == 1)
    )


def is_quoted(segment: str) -> bool:
    """Tell whether a segment is a star behind backslashes: literal, or quoted once more by `fold`."""
    return segment.endswith("*") and segment.strip("\\") == "*"


def fold(name: str) -> tuple[Template, Coord]:
    """Replace each whole-number segment by `*` and return the numbers beside the template."""
    parts = name.split(".")
    coord: list[int] = []
    for at, part in enumerate(parts):
        if part.isdigit() and is_number(part) and len(coord) < MAX_NUMBERS:
            coord.append(int(part))
            parts[at] = "*"
        elif part[-1:] == "*" and is_quoted(part):
            parts[at] = "\\" + part
    return Template(".".join(parts)), tuple(coord)


def unfold(template: Template, coord: Coord) -> str:
    """Return the name that `fold` took apart."""
    numbers = iter(coord)
    parts = template.split(".")
    for at, part in enumerate(parts):
        if part == "*":
            parts[at] = str(next(numbers))
        elif is_quoted(part):
            parts[at] = part[1:]
    return ".".join(parts)


def pieces(template: Template) -> tuple[str, ...]:
    """Return the literal text around the `*` of a template: one piece more than coordinates."""
    out, at = [], 0
    parts = template.split(".")
    run: list[str] = []
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        if part == "*":
            out.append("".join(run))
            run = [] if last else ["."]
        else:
            run.append(part[1:] if is_quoted(part) else part)
            if not last:
                run.append(".")
    return (*out, "".join(run))


def escape(literal: str) -> str:
    """Quote the characters of a literal name that patterns give a meaning to."""
    return _SPECIAL.sub(r"\\\1", literal)


def span(numbers: Iterable[int]) -> str:
    """Write numbers as they stand in a pattern: `7`, `{3..60}` or `{0,2..5,9}`."""
    runs = list(_runs(sorted(set(numbers))))
    if len(runs) == 1 and runs[0][0] == runs[0][1]:
        return str(runs[0][0])
    return "{" + ",".join(_run(*run) for run in runs) + "}"


def _run(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}..{last}"


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    for _, group in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in group]
        yield members[0], members[-1]


def brace(literals: Sequence[str], coords: Collection[Coord]) -> list[str]:
    """Write a set of coordinates between literal texts as exact patterns, never a false product.

    `literals` has one text more than a coordinate has numbers. A ragged set gives several
    patterns; together they expand to precisely the set.
    """
    if not coords:
        return []
    quoted = [escape(text) for text in literals]
    return [
        "".join(itertools.chain.from_iterable(zip(quoted, (*box, ""), strict=True)))
        for box in _boxes(set(coords), len(literals) - 1)
    ]


def _boxes(coords: set[Coord], width: int) -> list[tuple[str, ...]]:
    if width == 0:
        return [()]
    if width == 1:
        return [(span(number for (number,) in coords),)]
    tails: dict[int, set[Coord]] = defaultdict(set)
    for head, *tail in coords:
        tails[head].add(tuple(tail))
    heads: dict[frozenset[Coord], list[int]] = defaultdict(list)
    for head in sorted(tails):
        heads[frozenset(tails[head])].append(head)
    return [(span(group), *rest) for tail, group in heads.items() for rest in _boxes(set(tail), width - 1)]


def patterns(names: Iterable[str]) -> list[str]:
    """Write any set of names as exact patterns, in natural order."""
    families: dict[Template, set[Coord]] = defaultdict(set)
    for name in names:
        template, coord = fold(name)
        families[template].add(coord)
    out = [pattern for template, coords in families.items() for pattern in brace(pieces(template), coords)]
    return sorted(out, key=natural)


def expand(pattern: str) -> Iterator[str]:
    """Yield every name that a pattern stands for, in order.

    Raises:
        ValueError: the text is not a pattern.
    """
    options: list[list[str]] = []
    at = 0
    for token in _TOKEN.finditer(pattern):
        if token.start() != at:
            break
        at = token.end()
        quoted, numbers, plain = token.groups()
        options.append(_listed(numbers) if numbers else [quoted or plain])
    if at != len(pattern):
        message = f"not a pattern: {pattern!r}"
        raise ValueError(message)
    return ("".join(choice) for choice in itertools.product(*options))


def count(pattern: str) -> int:
    """Return how many names a pattern stands for, without making them."""
    spans = (numbers.split(",") for _, numbers, _ in _TOKEN.findall(pattern) if numbers)
    return prod(sum(map(_width, parts)) for parts in spans)


def _width(part: str) -> int:
    first, dots, last = part.partition("..")
    return max(0, int(last) - int(first) + 1) if dots else 1


def _listed(numbers: str) -> list[str]:
    out: list[str] = []
    for part in numbers.split(","):
        first, dots, last = part.partition("..")
        out += map(str, range(int(first), int(last) + 1)) if dots else [str(int(part))]
    return out


def natural(text: str) -> list[tuple[int, int, str]]:
    """Return a sort key in which `layers.9` comes before `layers.10`."""
    return [
        (0, int(part), "") if part.isdigit() and part.isascii() and len(part) <= _MAX_DIGITS else (1, 0, part)
        for part in re.split(r"(\d+)", text)
        if part
    ]


def likeness(a: str, b: str) -> float:
    """Compare two folded names: 1 if one is the other with more before or behind it, else the share of equal text."""
    if a.endswith("." + b) or b.endswith("." + a) or a.startswith(b + ".") or b.startswith(a + "."):
        return 1.0
    (above_a, _, last_a), (above_b, _, last_b) = a.rpartition("."), b.rpartition(".")
    if last_a != last_b and above_a != above_b:
        return 0.0
    return SequenceMatcher(None, a, b).ratio()
