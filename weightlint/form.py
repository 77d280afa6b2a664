"""What a quantised weight becomes on disk: the tensors in its place, their shapes and dtypes.

Shapes are written once, over the sides of the weight `[out, in]`; numbers and the text for messages both follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from weightlint.expected import Presence
from weightlint.expr import ceil_div

if TYPE_CHECKING:
    from collections.abc import Callable


class Dim(NamedTuple):
    """One side of a tensor: its size in elements and how a message writes it.

    `side` tells which side of the weight it runs along, 0 for `out`, 1 for `in`, None for neither.
    """

    size: int
    text: str
    side: int | None = None

    def over(self, step: int) -> Dim:
        """Return the number of blocks of `step` elements, the last one may be shorter."""
        if step == 1:
            return self
        text = f"{self.text} / {step}" if self.size % step == 0 else f"ceil_div({self.text}, {step})"
        return self._replace(size=ceil_div(self.size, step), text=text)

    def groups(self, size: int) -> Dim:
        """Return the number of groups; a size that is not above 0 makes one group of the whole side."""
        return self.over(size) if size > 0 else self._replace(size=1, text="1")

    def packed(self, bits: int, word: int = 32) -> Dim:
        """Return the number of words that hold so many numbers of some bits, the last word may be half empty."""
        if word % bits == 0:
            return self.over(word // bits)
        return self._replace(size=ceil_div(self.size * bits, word), text=f"{self.text} * {bits} / {word}")

    def times(self, factor: int) -> Dim:
        """Return a side so many times as long."""
        return self._replace(size=self.size * factor, text=f"{self.text} * {factor}")

    def by(self, other: Dim) -> Dim:
        """Return the length of all rows one after the other, which runs along neither side."""
        texts = (f"({dim.text})" if " + " in dim.text else dim.text for dim in (self, other))
        return Dim(self.size * other.size, " * ".join(texts))


ONE = Dim(1, "1")
WORDS = frozenset({"I32", "U32", "I64", "I16", "U8", "I8"})
"""Types of the words into which small numbers are packed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One tensor of a quantised weight.

    `end` takes the place of `weight` in the name: `qweight`, `weight_scale`. `sides` gives the shape from the two
    sides of the weight. With `ones`, dimensions of 1 are of no account: `[]` is `[1]`. `stacked` tells that experts in
    one tensor have one such tensor with a first dimension of experts. A part that is not needed says `why` it may be absent.
    An `opaque` one has a shape that does not follow from the weight's. One that is `idle` is accepted wherever it stands and never
    looked for: no loader reads it.
    """

    end: str
    dtypes: frozenset[str]
    sides: Callable[[Dim, Dim], tuple[Dim, ...]]
    ones: bool = False
    stacked: bool = True
    need: Presence = Presence.REQUIRED
    why: str | None = None
    opaque: bool = False
    idle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """All tensors of one quantised weight, the numbers themselves first.

    `bits` is the size of one number, `block` the elements along out and in that share a scale, 1 where that does not bind
    a cut, `word` those that share a word: it cannot be cut either. `says` is what the settings are, in the words of the config: `bits 4, group_size 128`. Where it does not `stack`, experts in one
    tensor stay plain. `beside` are ends of tensors that its writers leave beside a weight and nobody needs.
    """

    name: str
    parts: tuple[Part, ...]
    bits: float
    block: tuple[int, int] = (1, 1)
    word: tuple[int, int] = (1, 1)
    says: str = ""
    stack: bool = True
    beside: tuple[str, ...] = ()

    @property
    def main(self) -> Part:
        """Return the part that holds the numbers."""
        return self.parts[0]

    @property
    def marks(self) -> tuple[str, ...]:
        """Return the ends of names that a plain weight does not have."""
        return tuple(part.end for part in self.parts if part.end != "weight")


def named(weight: str, end: str) -> str:
    """Return the name or pattern of a part of a weight; one without `.weight` (stacked experts) takes `_scale` for `weight_scale`."""
    if weight.endswith(".weight"):
        return weight.removesuffix("weight") + end
    tail = end.removeprefix("weight").lstrip("_.")
    return f"{weight}_{tail}" if tail else weight
