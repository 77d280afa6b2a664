"""Whether boxes tile a shape: every element in exactly one of them.

Pure geometry: a box is its offsets and sizes, in elements, one number per dimension.
"""

from __future__ import annotations

from collections import defaultdict
from math import prod
from typing import TYPE_CHECKING

from weightlint.finding import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.dtype import Shape

    Box = tuple[Shape, Shape]

MAX_PAIRS = 2_000
"""Boxes of no grid that are compared each with each; more are believed."""


def flaw(shape: Shape, boxes: Sequence[Box]) -> str | None:
    """Say why boxes do not tile a shape, or None if they do."""
    for offsets, sizes in boxes:
        if len(offsets) != len(shape) or len(sizes) != len(shape):
            return f"a chunk of {len(sizes)} dimensions for a shape of {len(shape)}"
        if any(at + size > dim for at, size, dim in zip(offsets, sizes, shape, strict=True)):
            return f"a chunk {list(sizes)} at {list(offsets)} that leaves the shape {list(shape)}"
    covered, whole = sum(prod(sizes) for _, sizes in boxes), prod(shape)
    if _overlap([box for box in boxes if prod(box[1])], 0):
        return f"chunks of {list(shape)} that share elements"
    if covered != whole:
        return f"{counted(covered, 'element')} of the {whole:,} of {list(shape)}"
    return None


def _overlap(boxes: Sequence[Box], axis: int) -> bool:
    """Tell whether two boxes that share everything before `axis` share an element."""
    if len(boxes) < 2:
        return False
    if axis == len(boxes[0][0]):
        return True
    for group in _touching(boxes, axis):
        spans = {(offsets[axis], sizes[axis]) for offsets, sizes in group}
        if len(spans) == 1:
            if _overlap(group, axis + 1):
                return True
        elif len(group) <= MAX_PAIRS and _any_pair(group):
            return True
    return False


def _touching(boxes: Sequence[Box], axis: int) -> Iterator[list[Box]]:
    """Yield groups of boxes whose spans along an axis touch none of another group."""
    spans: dict[tuple[int, int], list[Box]] = defaultdict(list)
    for box in boxes:
        spans[box[0][axis], box[1][axis]].append(box)
    group: list[Box] = []
    end = 0
    for (at, size), there in sorted(spans.items()):
        if group and at >= end:
            yield group
            group = []
        group += there
        end = max(end, at + size)
    yield group


def _any_pair(boxes: Sequence[Box]) -> bool:
    return any(_meet(a, b) for at, a in enumerate(boxes) for b in boxes[:at])


def _meet(a: Box, b: Box) -> bool:
    return all(p < q + t and q < p + s for p, s, q, t in zip(a[0], a[1], b[0], b[1], strict=True))
