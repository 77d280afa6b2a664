"""Moves: small steps, each with its inverse, by which tensors of one spelling become those of another.

A move takes a row of tensors (in order) and gives a row. In a dialect's table its sizes are
expressions over config fields; `bound` puts numbers in their place, after which `apply` needs
nothing else and `inverse` is exact. Nothing here touches data: rows are shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from weightlint.moving.sizes import Dim, Dims, total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Size = Dim | str
"""A number with its formula, or, in a table, the formula alone."""

Row = list[Dims]


class MoveError(ValueError):
    """A row does not have the shapes that a move needs."""


class Move(Protocol):
    """One step."""

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Move:
        """Return the move with all sizes known, for a row that it will meet."""

    def apply(self, row: Sequence[Dims]) -> Row:
        """Return the shapes that it makes of these."""

    def inverse(self) -> Move:
        """Return the move that undoes this one."""

    def spelt(self) -> dict[str, object]:
        """Return name and sizes as JSON values."""


def known(size: Size, measure: Callable[[str], int] | None = None) -> Dim:
    """Return a size as a number; `measure` evaluates a formula.

    Raises:
        MoveError: it is still a formula.
    """
    if isinstance(size, Dim):
        return size
    if measure is None:
        message = f"a move was not bound: {size or 'a size'} is unknown"
        raise MoveError(message)
    return Dim(measure(size), size)


def need(condition: object, why: str) -> None:
    """Refuse a row.

    Raises:
        MoveError: the condition does not hold.
    """
    if not condition:
        raise MoveError(why)


@dataclass(frozen=True, slots=True)
class Stack:
    """Make each `count` neighbours one tensor with a new outermost dimension."""

    count: Size = ""

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Stack:
        """Take the count that is given, else stack the whole row."""
        return Stack(known(self.count, size) if self.count else Dim(len(row), str(len(row))))

    def apply(self, row: Sequence[Dims]) -> Row:
        """Check that neighbours are alike, and stack them."""
        count = known(self.count)
        need(
            count.value and len(row) % count.value == 0, f"{len(row)} tensors are no stacks of {count.value}"
        )
        runs = [row[at : at + count.value] for at in range(0, len(row), count.value)]
        need(all(len(set(run)) == 1 for run in runs), "tensors of different shapes cannot be stacked")
        return [(count, *run[0]) for run in runs]

    def inverse(self) -> Unstack:
        """Return the taking apart."""
        return Unstack(self.count)

    def spelt(self) -> dict[str, object]:
        """Name the count."""
        return {"move": "stack", "count": known(self.count).value}


@dataclass(frozen=True, slots=True)
class Unstack:
    """Take each tensor apart along its outermost dimension."""

    count: Size = ""

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Unstack:
        """Take the count from the first tensor."""
        del size
        return Unstack(row[0][0])

    def apply(self, row: Sequence[Dims]) -> Row:
        """Give `count` tensors for each one."""
        count = known(self.count).value
        need(all(dims and dims[0].value == count for dims in row), f"not {count} tensors in one")
        return [dims[1:] for dims in row for _ in range(count)]

    def inverse(self) -> Stack:
        """Return the stacking."""
        return Stack(self.count)

    def spelt(self) -> dict[str, object]:
        """Name the count."""
        return {"move": "unstack", "count": known(self.count).value}


@dataclass(frozen=True, slots=True)
class Concat:
    """Put the whole row one after the other along `dim`.

    `per_rank` says that a sharded checkpoint cuts each part first and concatenates what a rank has.
    """

    dim: int = 0
    sizes: tuple[Size, ...] = ()
    per_rank: bool = False

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Concat:
        """Remember the size of each part."""
        del size
        return replace(self, sizes=tuple(dims[self.dim] for dims in row))

    def apply(self, row: Sequence[Dims]) -> Row:
        """Add up the sizes along `dim`; the other ones must agree."""
        first, dim = row[0], self.dim
        found = tuple(dims[dim].value for dims in row)
        need(found == tuple(known(size).value for size in self.sizes), f"parts of other sizes: {found}")
        rest = {tuple(d.value for d in (*dims[:dim], *dims[dim + 1 :])) for dims in row}
        need(len(rest) == 1, "parts that differ beside the dimension of a concatenation")
        return [(*first[:dim], total(dims[dim] for dims in row), *first[dim + 1 :])]

    def inverse(self) -> Split:
        """Return the cutting."""
        return Split(self.sizes, dim=self.dim, per_rank=self.per_rank)

    def spelt(self) -> dict[str, object]:
        """Name dimension, sizes and the order of cutting."""
        return _parts("concat", self.dim, self.sizes, per_rank=self.per_rank)


@dataclass(frozen=True, slots=True)
class Split:
    """Cut the one tensor of the row into parts of these sizes along `dim`."""

    sizes: tuple[Size, ...]
    dim: int = 0
    per_rank: bool = False

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Split:
        """Work out the sizes."""
        del row
        return replace(self, sizes=tuple(known(part, size) for part in self.sizes))

    def apply(self, row: Sequence[Dims]) -> Row:
        """Check that the parts are the whole."""
        need(len(row) == 1, f"{len(row)} tensors to split, one expected")
        dims, dim = row[0], self.dim
        parts = [known(part) for part in self.sizes]
        need(
            dims[dim].value == sum(part.value for part in parts),
            f"{dims[dim].value} is not the sum of its parts",
        )
        return [(*dims[:dim], part, *dims[dim + 1 :]) for part in parts]

    def inverse(self) -> Concat:
        """Return the concatenation."""
        return Concat(self.dim, self.sizes, self.per_rank)

    def spelt(self) -> dict[str, object]:
        """Name dimension, sizes and the order of cutting."""
        return _parts("split", self.dim, self.sizes, per_rank=self.per_rank)


def _parts(name: str, dim: int, sizes: Sequence[Size], *, per_rank: bool) -> dict[str, object]:
    out: dict[str, object] = {"move": name, "dim": dim, "sizes": [known(size).value for size in sizes]}
    return out | {"per_rank": True} if per_rank else out
