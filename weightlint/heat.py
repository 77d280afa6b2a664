"""From a profile to a heat map: what stands in each cell, and which cells are worth a look.

Knows numbers and labels, nothing of HTML or of drawings. Every text is escaped for people, not yet for HTML.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from weightlint.deviation import Reading, readings
from weightlint.finding import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weightlint.profile import Line, Profile

RMS_STEP, ABSMAX_STEP = 1.0, 2.0
"""Octaves of one step; a single weight is more often far from the rest than the mean of all."""

FAR = 2.0
"""Steps from which on a cell gets a symbol and a word."""

STRENGTHS = (0.0, 0.06, 0.16, 0.32, 0.56, 0.8, 1.0)
"""How strong the colour is for each half step from what is usual: what sound models vary by stays pale."""

EVERY = (1, 2, 5, 10, 20, 50, 100)
"""Layers from one number of the axis to the next."""

MAX_LAYERS, MAX_FAMILIES = 256, 120
"""What is drawn at most; the rest is counted."""

LEGEND = (
    "The colour tells how far RMS or absmax, whichever is further, is from what is usual for the family at that depth: "
    "one step is a factor of 2 in RMS and of 4 in absmax, more in families whose layers differ by more than that anyway."
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One family in one layer; `there` is false where the layer has none of it."""

    there: bool = False
    rms: Reading | None = None
    absmax: Reading | None = None
    codes: tuple[str, ...] = ()

    @property
    def level(self) -> float:
        """Return the steps from what is usual, those of RMS or absmax, whichever is further."""
        return max((it.level for it in (self.rms, self.absmax) if it), key=abs, default=0.0)

    @property
    def far(self) -> bool:
        """Tell whether the cell is far from what is usual."""
        return abs(self.level) >= FAR

    @property
    def words(self) -> str:
        """Say in one line what the cell holds."""
        if not self.there:
            return "none"
        told = [
            f"{what} {number(it.value)} ({times(it)} the usual {number(it.usual)})"
            if it.usual
            else f"{what} 0"
            for what, it in (("RMS", self.rms), ("absmax", self.absmax))
            if it
        ]
        return ", ".join((*self.codes, *(told or ["no finite number"])))


@dataclass(frozen=True, slots=True)
class Row:
    """One family: the part of its name that its group shares, the rest, its dtype, a cell for each layer."""

    prefix: str
    name: str
    dtype: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Spot:
    """A cell that is worth a look, with its layer and its family."""

    layer: int
    row: Row
    cell: Cell


@dataclass(frozen=True, slots=True)
class Heat:
    """A map: rows in groups, each with what its names begin with; `beside` are families without layers.

    `hidden` counts the layers and the families that are not drawn.
    """

    layers: tuple[int, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    beside: tuple[Row, ...]
    hidden: tuple[int, int] = (0, 0)

    @property
    def rows(self) -> tuple[Row, ...]:
        """Return the families in the order in which they are drawn."""
        return tuple(row for _, rows in self.groups for row in rows)

    @property
    def cut(self) -> str:
        """Say what is not drawn; empty if all is."""
        told = [
            f"{count:,} {what}"
            for count, what in zip(self.hidden, ("layers", "families"), strict=True)
            if count
        ]
        return f"{' and '.join(told)} not drawn" if told else ""

    def spots(self) -> list[Spot]:
        """Return the cells that are worth a look: those with findings first, then by distance."""
        found = [
            Spot(layer, row, cell)
            for row in self.rows
            for layer, cell in zip(self.layers, row.cells, strict=True)
            if cell.codes or cell.far
        ]
        return sorted(found, key=lambda spot: (not spot.cell.codes, -abs(spot.cell.level)))

    def labelled(self, width: float) -> frozenset[int]:
        """Return the layers whose numbers are written, those with findings first; a number is `width` columns wide."""
        apart = next((step for step in EVERY if step >= width), EVERY[-1])
        marked = [at for at in range(len(self.layers)) if any(row.cells[at].codes for row in self.rows)]
        chosen: list[int] = []
        for at in (*marked, *range(0, len(self.layers), apart)):
            if all(abs(at - other) >= width for other in chosen):
                chosen.append(at)
        return frozenset(self.layers[at] for at in chosen)


def heat(profile: Profile) -> Heat:
    """Return the map of a profile; of one that is too large to see, what has findings and then the first."""
    lines = _first(profile.lines, MAX_FAMILIES, [any(line.codes) for line in profile.lines])
    columns = [any(line.codes[at] for line in lines) for at in range(len(profile.layers))]
    kept = _first(range(len(profile.layers)), MAX_LAYERS, columns)
    lines.sort(key=lambda line: _prefix(line.pattern))
    groups = tuple(
        (printable(prefix), tuple(_row(line, prefix, profile.layers, kept) for line in group))
        for prefix, group in groupby(lines, key=lambda line: _prefix(line.pattern))
    )
    beside = tuple(_row(line, "", (0,), (0,)) for line in profile.beside[:MAX_FAMILIES])
    left = profile.left_out + len(profile.lines) - len(lines) + len(profile.beside) - len(beside)
    layers = tuple(profile.layers[at] for at in kept)
    return Heat(layers, groups, beside, (len(profile.layers) - len(kept), left))


def _row(line: Line, prefix: str, layers: Sequence[int], kept: Sequence[int]) -> Row:
    rms, absmax = readings(layers, line.rms, RMS_STEP), readings(layers, line.absmax, ABSMAX_STEP)
    name, _, dtype = line.pattern.removeprefix(prefix).rpartition(" ")
    cells = (_cell(line, rms, absmax, at) for at in kept)
    return Row(printable(prefix), printable(name), printable(dtype), tuple(cells))


def _cell(line: Line, rms: Sequence[Reading | None], absmax: Sequence[Reading | None], at: int) -> Cell:
    largest = absmax[at]
    # without a finite number the largest of them is no magnitude
    counts = largest is not None and (largest.value or rms[at] is not None)
    return Cell(line.absmax[at] is not None, rms[at], largest if counts else None, line.codes[at])


def _prefix(pattern: str) -> str:
    """Return the part of a family up to its first number, which is that of the layer in most names."""
    head, star, _ = pattern.partition(".*.")
    return head + star


T = TypeVar("T")


def _first(items: Iterable[T], limit: int, wanted: Sequence[bool]) -> list[T]:
    """Return at most `limit` items in their order: the wanted ones, and as many others as there is room for."""
    order = sorted(range(len(wanted)), key=lambda at: not wanted[at])[:limit]
    keep = {*order}
    return [item for at, item in enumerate(items) if at in keep]


def number(value: float) -> str:
    """Write a magnitude in three digits."""
    return f"{value:.3g}"


def times(reading: Reading) -> str:
    """Write a value as a multiple of the usual one: `8.1\N{MULTIPLICATION SIGN}`."""
    return f"{reading.value / reading.usual:.2g}\N{MULTIPLICATION SIGN}"


def shade(level: float) -> int:
    """Return the half steps of a level, which number the shades of the colours: negative below what is usual."""
    return round(2 * level)
