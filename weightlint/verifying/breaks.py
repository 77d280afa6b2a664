"""Layers whose weights are out of line with those of all other layers, though each number by itself is possible.

A layer that was saved with another scale, or whose scales belong to other weights, has no number that is wrong. In sound models
the root mean square of a matrix changes smoothly over depth, so a step of a few powers of two is told.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING

from weightlint.deviation import readings
from weightlint.names import fold
from weightlint.verifying.place import layer_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.deviation import Reading
    from weightlint.names import Template
    from weightlint.verifying.tally import Tally

MIN_LAYERS = 8
"""Layers that a family must have before one can be out of line."""

MIN_FAMILIES, MOST = 4, 0.75
"""A layer is out of line as a whole if most of at least so many families are, to the same side."""

TOGETHER, ALONE = 2.0, 4.0
"""Octaves from the line: of many families of one layer, and of one family by itself."""

SPREADS = 2.0
"""The same in spreads of the family, for families whose layers differ anyway."""

Family = tuple["Template", str]
"""Folded name and dtype."""


@dataclass(frozen=True, slots=True)
class Break:
    """Layers of some families that are out of line; `factors` are the least and the largest, above 1 or below."""

    layers: tuple[int, ...]
    names: tuple[tuple[str, str], ...]
    families: int
    factors: tuple[float, float]
    whole: bool


def breaks(tally: Tally) -> Iterator[Break]:
    """Yield each layer that is out of line as a whole, then each family that is in some other layers."""
    names, table = _gathered(tally)
    far = {family: _far(cells) for family, cells in table.items() if len(cells) >= MIN_LAYERS}
    told: set[int] = set()
    for layer in sorted({layer for cells in far.values() for layer in cells}):
        held = [family for family, cells in table.items() if layer in cells and family in far]
        for side in (1, -1):
            hit = [it for it in held if side * far[it].get(layer, 0.0) >= TOGETHER]
            if len(hit) >= max(MIN_FAMILIES, MOST * len(held)):
                told.add(layer)
                yield _break([(it, layer) for it in hit], far, names, whole=True)
    for family, cells in far.items():
        alone = [layer for layer, octaves in cells.items() if abs(octaves) >= ALONE and layer not in told]
        if alone and not _is_at_an_end(alone, table[family]):
            yield _break([(family, layer) for layer in alone], far, names, whole=False)


def _gathered(
    tally: Tally,
) -> tuple[Mapping[tuple[Family, int], list[tuple[str, str]]], Mapping[Family, Mapping[int, float]]]:
    """Return file and name of every matrix by family and layer, and the mean squares of each."""
    names: dict[tuple[Family, int], list[tuple[str, str]]] = defaultdict(list)
    sums: dict[Family, dict[int, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))
    for job, row in tally.entries():
        for span, stats in zip(job.spans, row.stats, strict=True):
            layer = layer_of(span.name)
            if layer is None or span.dtype is None or len(span.shape) < 2 or not stats.sampled:
                continue
            family = (fold(span.name)[0], span.dtype)
            names[family, layer].append((job.file, span.name))
            sums[family][layer][0] += stats.squares
            sums[family][layer][1] += stats.sampled
    means = {it: {layer: a / b for layer, (a, b) in cells.items() if a} for it, cells in sums.items()}
    return names, means


def _far(cells: Mapping[int, float]) -> dict[int, float]:
    """Return the octaves by which layers are away from the line, of those that are."""
    layers = sorted(cells)
    found = readings(layers, [cells[layer] ** 0.5 for layer in layers], 1.0)
    return {
        layer: log2(it.value / it.usual)
        for layer, it in zip(layers, found, strict=True)
        if it is not None and _is_far(it)
    }


def _is_far(it: Reading) -> bool:
    return abs(it.level) >= SPREADS and it.usual > 0 and abs(log2(it.value / it.usual)) >= TOGETHER


def _is_at_an_end(layers: Sequence[int], cells: Mapping[int, float]) -> bool:
    """Tell whether all of some layers are the first or the last two: these are often trained to be others."""
    ranked = sorted(cells)
    return {*layers} <= {*ranked[:2], *ranked[-2:]}


def _break(
    hits: Sequence[tuple[Family, int]],
    far: Mapping[Family, Mapping[int, float]],
    names: Mapping[tuple[Family, int], list[tuple[str, str]]],
    *,
    whole: bool,
) -> Break:
    factors = sorted(2.0 ** far[family][layer] for family, layer in hits)
    return Break(
        tuple(dict.fromkeys(layer for _, layer in hits)),
        tuple(name for hit in hits for name in names[hit]),
        len({family for family, _ in hits}),
        (factors[0], factors[-1]),
        whole,
    )
