"""Domains of slots as boxes: what two have in common, and what is left of one.

A domain is a tuple of disjoint boxes; a box has one axis of numbers per placeholder.
"""

from __future__ import annotations

import itertools
from math import prod
from typing import TYPE_CHECKING

from weightlint.expected import boxed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weightlint.expected import Axis, Box

Domain = tuple["Box", ...]


def meet(domains: Sequence[Domain]) -> Domain:
    """Return the coordinates that all domains have."""
    first, *others = domains
    for other in others:
        if other is not first and other != first:
            first = tuple(
                box for a, b in itertools.product(first, other) if (box := _common(a, b)) is not None
            )
    return first


def _common(a: Box, b: Box) -> Box | None:
    if len(a) != len(b):
        return None
    axes = [x if x == y else tuple(sorted({*x} & {*y})) for x, y in zip(a, b, strict=True)]
    return tuple(axes) if all(axes) else None


def first_in(domain: Domain, keep: Callable[[int], bool]) -> Domain:
    """Return the part of a domain whose first number is accepted."""
    kept = ((tuple(number for number in box[0] if keep(number)), *box[1:]) for box in domain if box)
    return tuple(box for box in kept if box[0])


def size(domain: Domain) -> int:
    """Return the number of coordinates."""
    return sum(prod(map(len, box)) for box in domain)


def without(domain: Domain, taken: Sequence[Domain]) -> Domain:
    """Return what several disjoint parts leave of a domain."""
    if sum(map(size, taken)) == size(domain):
        return ()
    gone = {coord for part in taken for box in part for coord in itertools.product(*box)}
    return boxed(c for box in domain for c in itertools.product(*box) if c not in gone)


def by_last(domain: Domain) -> dict[Axis, Domain]:
    """Group the boxes by the numbers of their last axis, and take it away."""
    groups: dict[Axis, list[Box]] = {}
    for box in domain:
        groups.setdefault(box[-1], []).append(box[:-1])
    return {last: tuple(boxes) for last, boxes in groups.items()}
