"""How far each layer of a family is from what is usual for it.

Pure arithmetic on one row of magnitudes; knows nothing of tensors.

What is usual is a straight line in the logarithm, for magnitudes of sound models drift over depth: by about the same
factor from layer to layer, or, as norms do, fast at first. It is fitted by medians, so that single layers cannot bend
it (the incomplete method of H. Theil, A rank-invariant method of linear and polynomial regression analysis, 1950).
"""

from __future__ import annotations

from math import exp2, inf, log1p, log2
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

CLIP = 3.0
"""Steps at which the scale ends."""

MIN_TREND = 6
"""Layers from which on a drift can be told from a bad layer."""

QUARTILE, TO_SIGMA = 0.75, 1 / 1.1503
"""Three of four layers are nearer than a spread tells; of a normal distribution that is so many standard deviations.

A family with two kinds of layers in turn, as hybrids have, is wide by this; a quarter of all layers gone bad is not.
"""

LARGEST, SMALLEST = 1023.0, -1074.0
"""Exponents of two that a number can have."""


class Reading(NamedTuple):
    """One magnitude, what is `usual` in its layer, and how many steps it is away from that: -CLIP to CLIP."""

    value: float
    usual: float
    level: float


def readings(
    layers: Sequence[int], values: Sequence[float | None], step: float
) -> tuple[Reading | None, ...]:
    """Return a reading of each layer that has a value.

    A step are the octaves that layers of sound models may differ by, or the spread of this family if that is wider.
    """
    return tuple(_readings(layers, values, step))


def _readings(layers: Sequence[int], values: Sequence[float | None], step: float) -> Iterator[Reading | None]:
    logs = {layer: _log(value) for layer, value in zip(layers, values, strict=True) if value}
    usual = _usual(logs)
    off = {layer: log - usual[layer] for layer, log in logs.items()}
    wide = max(step, _spread(off.values()))
    # where most of a family is zero, as biases often are, zero is what is usual
    zero_is_usual = 2 * len(logs) <= sum(value is not None for value in values)
    middle = median(usual.values()) if usual else SMALLEST
    for layer, value in zip(layers, values, strict=True):
        if value is None:
            yield None
        elif value:
            yield Reading(value, _power(usual[layer]), max(-CLIP, min(CLIP, off[layer] / wide)))
        else:
            yield Reading(0.0, 0.0, 0.0) if zero_is_usual else Reading(0.0, _power(middle), -CLIP)


def _spread(off: Iterable[float]) -> float:
    ranked = sorted(map(abs, off))
    return TO_SIGMA * ranked[int(QUARTILE * (len(ranked) - 1))] if ranked else 0.0


def _usual(logs: Mapping[int, float]) -> dict[int, float]:
    """Return the line through the logarithms, over depth or over its logarithm, whichever is nearer to most layers."""
    if not logs:
        return {}
    ys = [*logs.values()]
    lines = (_line([depth(layer) for layer in logs], ys) for depth in (float, log1p))
    nearest = min(lines, key=lambda line: median(abs(y - at) for y, at in zip(ys, line, strict=True)))
    return dict(zip(logs, nearest, strict=True))


def _line(xs: Sequence[float], ys: Sequence[float]) -> list[float]:
    half = (len(xs) + 1) // 2
    slopes = [(ys[at + half] - ys[at]) / (xs[at + half] - xs[at]) for at in range(len(xs) - half)]
    slope = median(slopes) if len(xs) >= MIN_TREND else 0.0
    base = median(y - slope * x for x, y in zip(xs, ys, strict=True))
    return [base + slope * x for x in xs]


def _log(value: float) -> float:
    return LARGEST + 1 if value == inf else log2(value)


def _power(exponent: float) -> float:
    return exp2(max(SMALLEST, min(LARGEST, exponent)))
