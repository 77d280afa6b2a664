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
    tensor has, which the loader sets to zero. `beside` are tensors that came before and are written by the same copy. Experts in
    `copies` places are written to that many, from `start` on.
    """

    param: str
    start: Shape
    shape: Shape
    padded: int = 0
    beside: tuple[str, ...] = ()
    copies: int = 1

    @property
    def elements(self) -> int:
        """Number of elements that have a value afterwards."""
        total = 1
        for size in self.shape:
            total *= size
        return (total + self.padded) * self.copies

    @property
    def regions(self) -> dict[tuple[Shape, Shape], int]:
        """Start and shape of each region that is written, with the number of elements that have a value afterwards."""
        if self.copies == 1:
            return {(self.start, self.shape): self.elements}
        first, *rest = self.start
        each = self.elements // self.copies
        return {((first + n, *rest), self.shape): each for n in range(self.copies)}


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

    def of_dtypes(self, param: str, tensor: str) -> Failure:
        """Put torch's names of the dtypes in where the text has `{param_dtype}` and `{tensor_dtype}`."""
        if "_dtype}" not in self.text:
            return self
        text = self.text.replace("{param_dtype}", f"torch.{param}")
        return Failure(self.kind, text.replace("{tensor_dtype}", f"torch.{tensor}"))

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


Outcome = Fill | Skip | Failure
