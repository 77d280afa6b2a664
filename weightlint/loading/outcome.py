"""What becomes of one tensor on one rank: it fills a slice of a parameter, is skipped, or is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weightlint.dtype import Shape


@dataclass(frozen=True, slots=True)
class Fill:
    """A slice of a runtime parameter is written: `shape` elements from `start` on, both row-major.

    `shape` has no dimension for the expert where `start` has one. `padded` are the elements beyond what the
    tensor has, which the loader sets to zero.
    """

    param: str
    start: Shape
    shape: Shape
    padded: int = 0

    @property
    def elements(self) -> int:
        """Number of elements that have a value afterwards."""
        total = 1
        for size in self.shape:
            total *= size
        return total + self.padded


@dataclass(frozen=True, slots=True)
class Skip:
    """The tensor is passed over by the rule `why`; `warns` is what the loader prints, if anything."""

    why: str
    warns: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """The loader raises: the exception's type and its text."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


Outcome = Fill | Skip | Failure
