"""The health of a model at a glance: how large the numbers of each family are, layer by layer.

Plain data, filled by `weightlint.verifying.health`; knows nothing of how it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One family over the layers of a profile; None where a layer has none of it.

    `absmax` is the largest finite magnitude, of block types that of their scales; `rms` the root of the mean square
    of a sample. `codes` are those of the findings that concern the family in a layer.
    """

    pattern: str
    absmax: tuple[float | None, ...]
    rms: tuple[float | None, ...]
    codes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """Layers in order, and a line for each family; families without layers stand in `beside`, with one value each.

    `left_out` counts the families that are not told of, because no real model has so many in so many layers.
    """

    layers: tuple[int, ...]
    lines: tuple[Line, ...]
    beside: tuple[Line, ...] = ()
    left_out: int = 0
