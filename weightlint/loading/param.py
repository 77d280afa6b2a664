"""The runtime parameters of one rank, and the parts of them that single tensors are for."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from weightlint.loading.copying import Cutting, narrow, placed
from weightlint.loading.outcome import Failure, Fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.dtype import Shape
    from weightlint.loading.copying import Copy


@dataclass(frozen=True, slots=True)
class Part:
    """Where in a parameter one tensor goes: `room` elements from `offset` on, row-major."""

    offset: Shape
    room: Shape
    cutting: Cutting


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One parameter: `parts` by the name of the projection, `""` where it is not made of several.

    `kind` is the slot's. `default` tells that it has a sound value even if nothing is loaded into it.
    """

    name: str
    shape: Shape
    dtype: str
    copy: Copy
    parts: Mapping[str, Part]
    kind: str = "param"
    default: bool = False

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def take(self, found: Shape, part: str = "") -> Fill | Failure:
        """Copy a tensor of this shape into a part, as the framework would."""
        at = self.parts[part]
        for dim, (start, size) in enumerate(zip(at.offset, at.room, strict=True)):
            if start + size > self.shape[dim]:
                return narrow(self.shape, dim, start, size)  # type: ignore[return-value] # always refused here
        return placed(self.name, at.offset, self.copy.place(found, at.room, at.cutting))

    def take_expert(self, found: Shape, part: str, slot: int) -> Fill | Failure:
        """Copy one expert's matrix into the rank's `slot`."""
        at = self.parts[part]
        return placed(self.name, (slot, *at.offset), self.copy.place(found, at.room, at.cutting))

    def take_fused(self, found: Shape) -> Fill | Failure:
        """Copy a tensor that holds all parts already, as wide as the rank's or whole."""
        if len(found) != len(self.shape) or found[1:] != self.shape[1:]:
            return Failure("AssertionError", "")
        return Fill(self.name, (0,) * len(self.shape), self.shape)
