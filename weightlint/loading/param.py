"""The runtime parameters of one rank, and the parts of them that single tensors are for."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from weightlint.loading.casting import refused
from weightlint.loading.copying import Cutting, Sliced, narrow, placed
from weightlint.loading.outcome import Failure, Fill, Outcome, together

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.dtype import Shape
    from weightlint.loading.copying import Copy


class Part(NamedTuple):
    """Where in a parameter one tensor goes: `room` elements from `offset` on, row-major.

    `rows` are those of the whole tensor before it is cut for a rank.
    """

    offset: Shape
    room: Shape
    cutting: Cutting
    rows: int = 0


class Param(NamedTuple):
    """One parameter: `parts` by the name of the projection, `""` where it is not made of several.

    `kind` is the slot's. `default` tells that it is not asked for, `sound` that it has a value that serves even if
    nothing is loaded into it.
    """

    name: str
    shape: Shape
    dtype: str
    copy: Copy
    parts: Mapping[str, Part]
    kind: str = "param"
    default: bool = False
    sound: bool = False

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def take(self, found: Shape, part: str = "", dtype: str = "") -> Outcome:
        """Copy a tensor of this shape and dtype into a part, as the framework would."""
        at = self.parts[part]
        for dim, (start, size) in enumerate(zip(at.offset, at.room, strict=True)):
            if start + size > self.shape[dim]:
                return narrow(self.shape, dim, start, size)  # type: ignore[return-value] # always refused here
        result = placed(self.name, at.offset, self.copy.place(found, at.room, at.cutting))
        if isinstance(result, Failure):
            return result.of_dtypes(self.dtype, dtype)
        is_strict = isinstance(self.copy, Sliced) and self.copy.casts == "up" and isinstance(result, Fill)
        return (refused(self.dtype, dtype) if is_strict else None) or result

    def take_expert(self, found: Shape, part: str, slot: int) -> Outcome:
        """Copy one expert's matrix into the rank's `slot`; one of three dimensions goes to all slots."""
        at = self.parts[part]
        if len(found) == 3:
            room = (self.shape[0], *at.room)
            return placed(self.name, (0, *at.offset), self.copy.place(found, room, at.cutting))
        return placed(self.name, (slot, *at.offset), self.copy.place(found, at.room, at.cutting))

    def take_fused(self, found: Shape, dtype: str = "") -> Outcome:
        """Copy a tensor that holds all parts already: take each part's rows out of it and copy those."""
        return together(self._pieces_of(found, dtype))

    def _pieces_of(self, found: Shape, dtype: str) -> Iterator[Outcome]:
        start = 0
        for name, part in self.parts.items():
            rows = narrow(found, 0, start, part.rows)
            yield rows if isinstance(rows, Failure) else self.take(rows, name, dtype)
            start += part.rows
