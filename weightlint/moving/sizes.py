"""Sizes of dimensions with the formula behind each, so that a rewritten shape still explains itself.

Arithmetic on `Dim` works on the number and on its text at once; where a text is unknown the result
has none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weightlint.dtype import Shape

_COMPOUND = re.compile(r" (?:[-+%]|//|or|and|if) ")


class Dim(NamedTuple):
    """The size of one dimension, in elements; `text` is its formula over config fields or empty."""

    value: int
    text: str = ""

    def times(self, other: Dim) -> Dim:
        """Return the product."""
        return Dim(self.value * other.value, _product(self.text, other.text))

    def over(self, other: Dim) -> Dim:
        """Return the whole quotient."""
        return Dim(self.value // other.value, _quotient(self.text, other.text))


Dims = tuple[Dim, ...]
"""One tensor's shape, outermost first."""


def total(dims: Iterable[Dim]) -> Dim:
    """Return the sum; of equal texts a multiple."""
    parts = list(dims)
    texts = [dim.text for dim in parts]
    if not all(texts):
        text = ""
    elif len({*texts}) == 1 and len(texts) > 1:
        text = f"{len(texts)} * {_factor(texts[0])}"
    else:
        text = " + ".join(texts)
    return Dim(sum(dim.value for dim in parts), text)


def dims_of(shape: Shape, formula: tuple[str, ...]) -> Dims:
    """Join a shape with its formula; one that has another length is left away."""
    texts = formula if len(formula) == len(shape) else ("",) * len(shape)
    return tuple(map(Dim, shape, texts))


def shape_of(dims: Dims) -> Shape:
    """Return the numbers alone."""
    return tuple(dim.value for dim in dims)


def formula_of(dims: Dims) -> tuple[str, ...]:
    """Return the texts alone, or nothing where one is unknown."""
    texts = tuple(dim.text for dim in dims)
    return texts if all(texts) else ()


def _factor(text: str) -> str:
    return f"({text})" if _COMPOUND.search(text) and not _is_wrapped(text) else text


def _is_wrapped(text: str) -> bool:
    """Tell whether the first parenthesis closes at the end only."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return at == len(text) - 1 and text.startswith("(")
    return False


def _product(a: str, b: str) -> str:
    if not a or not b:
        return ""
    for whole, by in ((a, b), (b, a)):
        if whole.endswith(f" // {by}"):
            return whole.removesuffix(f" // {by}")
    if "1" in {a, b}:
        return b if a == "1" else a
    return f"{_factor(a)} * {_factor(b)}"


def _quotient(a: str, b: str) -> str:
    if not a or not b:
        return ""
    if a == b:
        return "1"
    if b == "1":
        return a
    rest = a.removeprefix(f"{b} * ")
    if rest != a:
        return rest[1:-1] if _is_wrapped(rest) else rest
    return f"{_factor(a) if re.search(r' [-+] ', a) else a} // {_factor(b)}"
