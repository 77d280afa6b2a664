"""Versions of frameworks: `vllm@0.8.4`, and ranges such as `>=0.5.8,<0.6`."""

from __future__ import annotations

import re
from operator import eq, ge, gt, le, lt, ne
from typing import TYPE_CHECKING, Any

from weightlint.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NUMBERS, _WORD = r"([0-9]{1,9}(?:\.[0-9]{1,9})*)", r"(\+[a-z]+[1-9][0-9]{0,8})?"
_PLAIN = re.compile(_NUMBERS + _WORD)
_CLAUSE = re.compile(rf"([<>]=?|([=!]=)){_NUMBERS}(?(2){_WORD})")
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": ge,
    "<=": le,
    "==": eq,
    "!=": ne,
    "<": lt,
    ">": gt,
}


def split_spec(spec: str) -> tuple[str, str | None]:
    """Take `name@version` apart; the version is None where none is given."""
    name, at, version = spec.partition("@")
    return name.strip(), version.strip() if at else None


def within(version: str, span: str) -> bool:
    """Tell whether a version lies in a range; every version lies in the empty one.

    Raises:
        UsageError: the version is none.
    """
    if not span:
        return True
    plain = _within(version, span)
    if plain is not None:
        return plain
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return SpecifierSet(span).contains(Version(version), prereleases=True)
    except InvalidVersion as error:
        message = f"{version!r} is no version; write it as in `pip show`: 0.8.4, 0.4.6.post5"
        raise UsageError(message) from error


def _within(version: str, span: str) -> bool | None:
    """Compare by numbers alone; None where a text has more than numbers and one word after a plus."""
    mine = _PLAIN.fullmatch(version)
    clauses = [_CLAUSE.fullmatch(clause.strip()) for clause in span.split(",")]
    if mine is None or not all(clauses):
        return None
    return all(_holds(clause, mine) for clause in clauses if clause is not None)


def _holds(clause: re.Match[str], mine: re.Match[str]) -> bool:
    """Compare as PEP 440 does: the word of the version is of no account where the range has none."""
    sign, _, numbers, word = clause.groups()
    if word is None:
        return _SIGNS[sign](_key(mine[1]), _key(numbers))
    return _SIGNS[sign]((_key(mine[1]), mine[2]), (_key(numbers), word))


def _key(numbers: str) -> tuple[int, ...]:
    """Return the numbers of a release without zeros at the end, which do not count."""
    out = [int(number) for number in numbers.split(".")]
    while len(out) > 1 and not out[-1]:
        out.pop()
    return tuple(out)
