"""What becomes of one tensor on one rank: it fills a slice of a parameter, is skipped, or is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weightlint.dtype import Shape


@dataclass(frozen=True, slots=True)
class Fill:
    """A slice of a runtime parameter is written: `shape` elements from `start` on, both row-major.

    `shape` has no dimension for the expert where `start` has one. `padded` are the elements beyond what the
    tensor has, which the loader sets to zero. `also` are the other slices that the same tensor fills, `beside` other tensors
    that came before and are written by the same copy.
    """

    param: str
    start: Shape
    shape: Shape
    padded: int = 0
    also: tuple[Fill, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[Fill, ...]:
        """Every slice that the tensor fills."""
        return (self, *self.also)

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
    """The loader raises: the exception's type and its text.

    `done` is what it has written of the tensor by then, `beside` are other tensors that came before and are lost with it.
    """

    kind: str
    text: str
    done: tuple[Fill, ...] = ()
    beside: tuple[str, ...] = ()

    def of_dtypes(self, param: str, tensor: str) -> Failure:
        """Put torch's names of the dtypes in where the text has `{param_dtype}` and `{tensor_dtype}`."""
        text = self.text.replace("{param_dtype}", f"torch.{param}")
        return replace(self, text=text.replace("{tensor_dtype}", f"torch.{tensor}"))

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


Outcome = Fill | Skip | Failure


def together(outcomes: Iterable[Outcome]) -> Outcome:
    """Say what becomes of a tensor that is copied piece by piece: the first failure ends it."""
    fills: list[Fill] = []
    skip = Skip("expert")
    for it in outcomes:
        if isinstance(it, Failure):
            return replace(it, done=(*fills, *it.done))
        if isinstance(it, Fill):
            fills += it.all
        else:
            skip = it
    return replace(fills[0], also=tuple(fills[1:])) if fills else skip


def written(outcome: Outcome) -> tuple[Fill, ...]:
    """Return the slices that a tensor has filled, even if the loader raised after them."""
    match outcome:
        case Fill():
            return outcome.all
        case Failure():
            return outcome.done
    return ()
