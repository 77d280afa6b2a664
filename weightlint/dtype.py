"""One open table of element types: size, kind and the spelling of each format.

A ggml block type packs `block` neighbouring elements of one row into `size` bytes; a plain type is a
block of one or, below a byte, of the elements that fill whole bytes, across rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Shape = tuple[int, ...]
"""Element counts, row-major, outermost first: `[out, in]` for a linear weight."""


@dataclass(frozen=True, slots=True)
class DType:
    """One element type. `kind` is float, int, bool, complex or quant.

    `block` elements take `size` bytes. `by_row` tells that a block must not cross from one row (the
    innermost dimension) to the next; `row` are bytes that each row takes besides its blocks.
    """

    name: str
    size: int
    kind: str
    block: int = 1
    by_row: bool = False
    row: int = 0

    @property
    def bits(self) -> int:
        """Size of one element of a plain type, in bits."""
        return self.size * 8 // self.block

    def nbytes(self, shape: Shape) -> int | None:
        """Return the bytes of a tensor of this shape, or None if its blocks are not whole."""
        whole = shape[-1] if self.by_row and shape else prod(shape)
        if whole % self.block:
            return None
        return prod(shape) // self.block * self.size + prod(shape[:-1]) * self.row


def _table(*rows: tuple[str, int, str]) -> Mapping[str, DType]:
    blocks = {2: (1, 4), 4: (1, 2), 6: (3, 4)}
    packed = [(name, *blocks.get(bits, (bits // 8, 1)), kind) for name, bits, kind in rows]
    return {name: DType(name, size, kind, block) for name, size, block, kind in packed}


SAFETENSORS = _table(
    # safetensors/src/tensor.rs, enum Dtype of release 0.8.0
    ("BOOL", 8, "bool"),
    ("F4", 4, "float"),
    ("F6_E2M3", 6, "float"),
    ("F6_E3M2", 6, "float"),
    ("U8", 8, "int"),
    ("I8", 8, "int"),
    ("F8_E5M2", 8, "float"),
    ("F8_E4M3", 8, "float"),
    ("F8_E8M0", 8, "float"),
    ("F8_E4M3FNUZ", 8, "float"),
    ("F8_E5M2FNUZ", 8, "float"),
    ("I16", 16, "int"),
    ("U16", 16, "int"),
    ("F16", 16, "float"),
    ("BF16", 16, "float"),
    ("I32", 32, "int"),
    ("U32", 32, "int"),
    ("F32", 32, "float"),
    ("C64", 64, "complex"),
    ("F64", 64, "float"),
    ("I64", 64, "int"),
    ("U64", 64, "int"),
)

TORCH = _table(
    # torch/storage.py of torch 2.13: the types that safetensors does not have
    ("C32", 32, "complex"),
    ("C128", 128, "complex"),
    ("QINT8", 8, "quant"),
    ("QUINT8", 8, "quant"),
    ("QINT32", 32, "quant"),
    ("QUINT4X2", 4, "quant"),
    ("QUINT2X4", 2, "quant"),
    ("BITS8", 8, "int"),
    ("BITS16", 16, "int"),
    ("BITS1X8", 8, "int"),
    ("BITS2X4", 8, "int"),
    ("BITS4X2", 8, "int"),
)

FLOATS = frozenset({"BF16", "F16", "F32"})
"""Types in which a plain (not quantised) weight may be stored."""

FP8 = frozenset({"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
"""Eight-bit floats: meaningless as weights without a scale."""


def find(name: str) -> DType | None:
    """Return the type of this name, in whichever format it is at home, or None."""
    from weightlint.ggml import BY_NAME

    return SAFETENSORS.get(name) or BY_NAME.get(name) or TORCH.get(name)
