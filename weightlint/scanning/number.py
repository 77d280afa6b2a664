"""Number formats by their bits: what is not finite, how large the largest is, what a sample weighs.

The sign is the top bit, so of the bits read as a signed and as an unsigned integer the two maxima give the largest
magnitude on either side of zero without a copy. Bit patterns: IEEE 754; OCP 8-bit Floating Point 1.0 (E4M3 has one
NaN and no infinity); OCP Microscaling 1.0 (E8M0: 0xFF is NaN); onnx docs/docsource/technical/float8.md (FNUZ: only
0x80 is NaN).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Bits = NDArray[np.integer[Any]]
    Bytes = NDArray[np.uint8]


UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
SIGNED = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}
"""Types of whole numbers by their width in bytes."""


@dataclass(frozen=True, slots=True)
class Number:
    """One format of `width` bytes: the bits of its largest finite magnitude and of infinity, one more, None without one.

    `fnuz` tells that the one NaN is the sign bit alone, `unsigned` that there is no sign.
    """

    name: str
    width: int
    largest: int
    infinity: int | None = None
    fnuz: bool = False
    unsigned: bool = False

    @property
    def sign(self) -> int:
        """Return the bit of the sign."""
        return 1 << (8 * self.width - 1)

    @property
    def mask(self) -> int:
        """Return the bits of the magnitude."""
        return (self.sign << 1) - 1 if self.unsigned else self.sign - 1

    def bits(self, data: Bytes) -> Bits:
        """Read whole numbers as their bits; a copy where they are not aligned."""
        whole = data[: len(data) // self.width * self.width].view(UNSIGNED[self.width])
        return whole if whole.flags.aligned else whole.copy()

    def magnitude(self, bits: Bits) -> Bits:
        """Return bits without their sign."""
        out: Bits = bits if self.unsigned else bits & self.mask
        return out

    def values(self, bits: Bits) -> NDArray[np.floating[Any]]:
        """Return the numbers themselves."""
        if self.width == 1:
            return _table(self.name)[bits]
        if self.name == "BF16":
            return (bits.astype(np.uint32) << 16).view(np.float32)
        return bits.view(f"f{self.width}")

    def value(self, bits: int) -> float:
        """Return one number."""
        return float(self.values(np.array([bits], UNSIGNED[self.width]))[0])


def _number(*fields: Any, **more: Any) -> tuple[str, Number]:
    number = Number(*fields, **more)
    return number.name, number


_NUMBERS = dict(
    (
        _number("F16", 2, 0x7BFF, 0x7C00),
        _number("BF16", 2, 0x7F7F, 0x7F80),
        _number("F32", 4, 0x7F7FFFFF, 0x7F800000),
        _number("F64", 8, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000),
        _number("F8_E4M3", 1, 0x7E),
        _number("F8_E5M2", 1, 0x7B, 0x7C),
        _number("F8_E4M3FNUZ", 1, 0x7F, fnuz=True),
        _number("F8_E5M2FNUZ", 1, 0x7F, fnuz=True),
        _number("F8_E8M0", 1, 0xFE, unsigned=True),
    )
)
NUMBERS: Mapping[str, Number] = {
    **_NUMBERS,
    # a complex number is two of its half
    "C32": _NUMBERS["F16"],
    "C64": _NUMBERS["F32"],
    "C128": _NUMBERS["F64"],
    "BF16_R16": _NUMBERS["BF16"],
}
"""Formats by dtype."""

_EIGHT = {
    # exponent bits, mantissa bits, bias
    "F8_E4M3": (4, 3, 7),
    "F8_E5M2": (5, 2, 15),
    "F8_E4M3FNUZ": (4, 3, 8),
    "F8_E5M2FNUZ": (5, 2, 16),
}


@lru_cache(maxsize=8)
def _table(name: str) -> NDArray[np.float32]:
    """Return the values of all 256 bytes; 0 for what is not finite."""
    number = _NUMBERS[name]
    if number.unsigned:
        powers = np.ldexp(np.ones(256, np.float32), np.minimum(np.arange(256), 0xFE) - 127)
        return np.where(np.arange(256) == 0xFF, np.float32(0), powers)
    _, mantissa, bias = _EIGHT[name]
    out = np.zeros(256, np.float32)
    for byte in range(256):
        exponent, fraction = (byte & 0x7F) >> mantissa, byte & ((1 << mantissa) - 1)
        if byte & 0x7F > number.largest or (number.fnuz and byte == number.sign):
            continue
        lead = fraction / (1 << mantissa) + (exponent > 0)
        out[byte] = (-1) ** (byte >> 7) * lead * 2.0 ** (max(exponent, 1) - bias)
    return out
