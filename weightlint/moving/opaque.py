"""Moves that change the elements themselves: repacking, absorbed products, taking scales in.

`Repack` forgets the shapes, but remembers what they were; the other two cannot be undone and stand
only in what a dialect derives or drops.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.expr import ceil_div
from weightlint.moving.move import Row, Size, known, need
from weightlint.moving.sizes import Dim, Dims

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Repack:
    """Write a tensor as bytes of a program's own order, in `parts` tensors: shapes are not derivable."""

    parts: int = 1
    whole: tuple[Dims, ...] = ()

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Repack:
        """Remember the shapes."""
        del size
        return replace(self, whole=tuple(row))

    def apply(self, row: Sequence[Dims]) -> Row:
        """Give parts without a shape."""
        need(tuple(row) == self.whole, "other tensors than those to repack")
        return [() for _ in row for _ in range(self.parts)]

    def inverse(self) -> Unpack:
        """Return the unpacking, which only the program that packed can do."""
        return Unpack(self.parts, self.whole)

    def spelt(self) -> dict[str, object]:
        """Name the number of parts."""
        return {"move": "repack", "parts": self.parts}


@dataclass(frozen=True, slots=True)
class Unpack:
    """Read repacked tensors back."""

    parts: int
    whole: tuple[Dims, ...]

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Unpack:
        """Return itself: its shapes cannot be worked out anew."""
        del row, size
        return self

    def apply(self, row: Sequence[Dims]) -> Row:
        """Give the shapes that were packed."""
        need(len(row) == self.parts * len(self.whole), f"{len(row)} parts of {len(self.whole)} tensors")
        return list(self.whole)

    def inverse(self) -> Repack:
        """Return the packing."""
        return Repack(self.parts, self.whole)

    def spelt(self) -> dict[str, object]:
        """Name the number of parts."""
        return {"move": "unpack", "parts": self.parts}


@dataclass(frozen=True, slots=True)
class Absorb:
    """Multiply queries `[heads * (nope + rope), in]` by the keys of `[heads * (nope + v), rank]`.

    Gives `[heads * (rank + rope), in]`: per head the product of the nope parts, then the rope rows.
    Source: TensorRT-LLM, models/deepseek_v2/convert.py (fused_q_proj).
    """

    heads: Size
    nope: Size
    rope: Size

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Absorb:
        """Work out the sizes."""
        del row
        return Absorb(*(known(each, size) for each in (self.heads, self.nope, self.rope)))

    def apply(self, row: Sequence[Dims]) -> Row:
        """Check both shapes and give that of the product."""
        heads, nope, rope = map(known, (self.heads, self.nope, self.rope))
        need(len(row) == 2, f"{len(row)} tensors to absorb, two expected")
        queries, keys = row
        need(queries[0].value == heads.value * (nope.value + rope.value), "queries of another size")
        rank = keys[1]
        text = f"{heads.text} * ({rank.text} + {rope.text})" if heads.text and rank.text and rope.text else ""
        rows = Dim(heads.value * (rank.value + rope.value), text)
        return [(rows, queries[1])]

    def inverse(self) -> Absorb:
        """Refuse: a product does not give its factors back."""
        raise NotImplementedError

    def spelt(self) -> dict[str, object]:
        """Name heads and parts of a head."""
        sizes = {"heads": self.heads, "nope": self.nope, "rope": self.rope}
        return {"move": "absorb"} | {name: known(size).value for name, size in sizes.items()}


@dataclass(frozen=True, slots=True)
class Dequantise:
    """Multiply weights by their block scales: the second half of the row belongs to those at `only`.

    Source of the rule: DeepSeek-V3, README_WEIGHTS.md.
    """

    block: tuple[int, int]
    only: tuple[int, ...] = ()

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Dequantise:
        """Return itself: its sizes are those of the quantisation."""
        del row, size
        return self

    def apply(self, row: Sequence[Dims]) -> Row:
        """Check the scales and give the weights alone."""
        weights, scales = row[: len(row) - len(self.only)], row[len(row) - len(self.only) :]
        for at, scale in zip(self.only, scales, strict=True):
            wanted = tuple(ceil_div(d.value, b) for d, b in zip(weights[at][-2:], self.block, strict=True))
            need(tuple(d.value for d in scale[-2:]) == wanted, f"a scale that is not {list(wanted)}")
        return list(weights)

    def inverse(self) -> Dequantise:
        """Refuse: the rounding is lost."""
        raise NotImplementedError

    def spelt(self) -> dict[str, object]:
        """Name block and places."""
        return {"move": "dequantise", "block": list(self.block), "only": list(self.only)}
