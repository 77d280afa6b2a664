"""Which elements of one dimension each rank holds. Pure arithmetic; knows nothing of tensors or frameworks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

Span = tuple[int, int]
"""Elements of a dimension, first included, last excluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One dimension of a tensor, cut over `ways` ranks.

    `dim` counts from the front, `size` is in elements of the tensor. What is cut are units of `step`
    elements, called `unit`: element, head, kv head, vocabulary row, expert. `parts` are equal parts of the
    dimension that are cut each for itself, the pieces laid together: gate above up. `replicas` neighbouring
    ranks hold the same. `padded` is the size with padding, which no rank reads from the tensor. A `ragged`
    cut gives chunks rounded up, the last ones shorter. `block` is the number of elements that one entry
    of the tensor stands for, above 1 in a block scale; `base` is their number in its weight. `spans` are
    given outright, one per rank.
    """

    dim: int
    size: int
    ways: int
    unit: str = "element"
    step: int = 1
    parts: int = 1
    replicas: int = 1
    padded: int = 0
    ragged: bool = False
    block: int = 1
    base: int = 0
    spans: tuple[Span, ...] = ()

    @property
    def whole(self) -> int:
        """Elements of the weight along the dimension."""
        return self.base or self.size

    @property
    def units(self) -> int:
        """Units along one part of the dimension, padding included."""
        return (self.padded or self.whole // self.parts) // self.step

    @property
    def even(self) -> bool:
        """Tell whether the units come out even over the ranks; whether there are such parts is another question."""
        given = bool(self.spans) or self.ragged or self.whole % self.parts != 0
        return given or self.units % self.pieces == 0

    @property
    def pieces(self) -> int:
        """Number of different pieces."""
        return max(1, self.ways // self.replicas)

    @property
    def width(self) -> int:
        """Elements of the weight that the largest piece has of one part."""
        pieces = self.pieces
        units = -(-self.units // pieces) if self.ragged else self.units // pieces
        return units * self.step

    def at(self, rank: int) -> tuple[Span, ...]:
        """Return what a rank holds, in entries of the tensor, one span for each part; empty spans left out."""
        return _spans(self, min(rank // self.replicas, self.pieces - 1))

    def count(self, rank: int) -> int:
        """Return how many entries of the dimension a rank holds in memory, padding included."""
        held = sum(stop - start for start, stop in self.at(rank))
        return max(held, -(-self.width // self.block) * self.parts) if self.padded else held


@lru_cache(maxsize=4096)
def _spans(cut: Cut, piece: int) -> tuple[Span, ...]:
    if cut.spans:
        start, stop = cut.spans[piece]
        return ((start, stop),) if start < stop else ()
    part = cut.whole // cut.parts
    out = []
    for number in range(cut.parts):
        first = number * part
        start = min(part, piece * cut.width)
        stop = min(part, start + cut.width)
        if start < stop:
            out.append(((first + start) // cut.block, -(-(first + stop) // cut.block)))
    return tuple(out)


def gaps(cut: Cut) -> tuple[Span, ...]:
    """Return the entries of the dimension that no rank holds."""
    out, at = [], 0
    for start, stop in sorted(span for piece in range(cut.pieces) for span in _spans(cut, piece)):
        if start > at:
            out.append((at, start))
        at = max(at, stop)
    if at < cut.size:
        out.append((at, cut.size))
    return tuple(out)


def overlaps(cut: Cut) -> tuple[Span, ...]:
    """Return the entries that different pieces hold in common; blocks of a scale may lie on an edge."""
    out, at = [], 0
    for start, stop in sorted(span for piece in range(cut.pieces) for span in _spans(cut, piece)):
        if start < at and cut.block == 1:
            out.append((start, min(at, stop)))
        at = max(at, stop)
    return tuple(out)


def outside(cut: Cut) -> tuple[Span, ...]:
    """Return what ranks ask for beyond the dimension."""
    spans = (span for piece in range(cut.pieces) for span in _spans(cut, piece))
    return tuple((max(start, cut.size), stop) for start, stop in spans if stop > cut.size)
